// browser.js - a headless Chromium that is installed, spoken to through a pipe.
'use strict';
const {spawn} = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');

const browsers = ['chromium', 'chromium-browser', 'google-chrome'];

function expect(what, is, wanted) {
	if (is !== wanted)
		throw new Error(`${what}: ${is}, not ${wanted}`);
}

class Browser {
	constructor(command) {
		this.profile = fs.mkdtempSync(path.join(os.tmpdir(), 'devtools-'));
		this.process = spawn(command, [
			'--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run',
			'--remote-debugging-pipe', '--remote-debugging-port=0',
			`--user-data-dir=${this.profile}`, 'about:blank',
		], {stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], detached: true});
		this.waiting = new Map();
		this.calls = 0;
		this.rest = '';
		this.process.stdio[4].setEncoding('utf8').on('data', data => this.read(data));
	}

	read(data) {
		const messages = (this.rest + data).split('\0');
		this.rest = messages.pop();
		for (const message of messages.map(text => JSON.parse(text))) {
			const call = this.waiting.get(message.id);
			this.waiting.delete(message.id);
			if (call && message.error)
				call.reject(new Error(message.error.message));
			else if (call)
				call.resolve(message.result);
		}
	}

	call(method, params = {}, sessionId = undefined) {
		const id = ++this.calls;
		this.process.stdio[3].write(JSON.stringify({id, method, params, sessionId}) + '\0');
		return new Promise((resolve, reject) => this.waiting.set(id, {resolve, reject}));
	}

	async port() {
		const file = path.join(this.profile, 'DevToolsActivePort');
		for (let i = 0; i < 300; i++) {
			if (fs.existsSync(file) && fs.readFileSync(file, 'utf8').includes('\n'))
				return fs.readFileSync(file, 'utf8').split('\n')[0];
			await new Promise(resolve => setTimeout(resolve, 100));
		}
		throw new Error('the browser does not come up');
	}

	async open(url) {
		const {targetId} = await this.call('Target.createTarget', {url});
		const {sessionId} = await this.call('Target.attachToTarget', {targetId, flatten: true});
		const there = `document.readyState === 'complete' && location.href !== 'about:blank'`;
		while (!await this.evaluate(sessionId, there))
			await new Promise(resolve => setTimeout(resolve, 100));
		return sessionId;
	}

	async evaluate(session, expression) {
		const {result, exceptionDetails} = await this.call('Runtime.evaluate',
			{expression, awaitPromise: true, returnByValue: true}, session);
		if (exceptionDetails)
			throw new Error(exceptionDetails.exception.description);
		return result.value;
	}

	close() {
		try {
			process.kill(-this.process.pid, 'SIGKILL');
		} catch {
			// it has ended
		}
		fs.rmSync(this.profile, {recursive: true, force: true, maxRetries: 10});
	}
}

// Calls use(browser, the folder of its DevTools) of one, if there is one, for five minutes at most.
async function withBrowser(what, use) {
	const command = browsers.find(name => (process.env.PATH || '').split(':')
		.some(folder => fs.existsSync(path.join(folder, name))));
	if (!command) {
		console.log(`skipped: ${what}, without chromium`);
		return;
	}
	const limit = setTimeout(() => {
		console.error(`${what}: no answer for five minutes`);
		process.exit(1);
	}, 300000);
	const browser = new Browser(command);
	try {
		await use(browser, `http://127.0.0.1:${await browser.port()}/devtools/`);
		console.log(`${what}: ok`);
	} catch (error) {
		console.error(error);
		process.exitCode = 1;
	} finally {
		clearTimeout(limit);
		browser.close();
	}
}

module.exports = {expect, withBrowser};
