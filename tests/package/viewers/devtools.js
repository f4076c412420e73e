// devtools.js FIRST SECOND THIRD - the DevTools of the Chromium that is installed read snapshots of
// leaky.c: its own frontend's code, as it serves it, in a page of it. Classes, what came between
// two snapshots, and retainers must be what leaky.c has made.
'use strict';
const fs = require('fs');
const {expect, withBrowser} = require('./browser.js');

// ---- in the page: DevTools' worker for snapshots, and its messages ----

const inPage = `
globalThis.DevTools = class {
	static async start() {
		const it = new this();
		it.worker = new Worker('/devtools/entrypoints/heap_snapshot_worker/' +
			'heap_snapshot_worker-entrypoint.js', {type: 'module'});
		it.waiting = new Map();
		it.n = 1;
		await new Promise((resolve, reject) => {
			it.worker.onerror = reject;
			it.worker.onmessage = event => {
				if (event.data === 'workerReady')
					resolve();
			};
		});
		it.worker.onmessage = ({data}) => {
			const call = it.waiting.get(data.callId);
			if (!call)
				return;
			if (data.error)
				call.reject(new Error(data.error + data.errorCallStack));
			else
				call.resolve(data.result);
		};
		return it;
	}
	post(message, ports = []) {
		const callId = this.n++;
		this.worker.postMessage({callId, ...message}, ports);
		return new Promise((resolve, reject) => this.waiting.set(callId, {resolve, reject}));
	}
	method(objectId, methodName, ...methodArguments) {
		return this.post({disposition: 'method', objectId, methodName, methodArguments});
	}
	async factory(objectId, methodName, methodArguments, ports) {
		const newObjectId = String(this.n++);
		await this.post({disposition: 'factory', objectId, methodName, methodArguments,
			newObjectId}, ports);
		return newObjectId;
	}
	async load(text) {
		const loader = String(this.n++), second = await DevTools.start();
		await this.post({disposition: 'createLoader', objectId: loader});
		for (let i = 0; i < text.length; i += 100000)
			await this.method(loader, 'write', text.slice(i, i + 100000));
		await this.method(loader, 'close');
		const {port1, port2} = new MessageChannel();
		second.post({disposition: 'setupForSecondaryInit', objectId: '1'}, [port2]);
		return this.factory(loader, 'buildSnapshot', [], [port1]);
	}
	// The first objects of a class.
	async some(snapshot, key) {
		const list = await this.factory(snapshot, 'createNodesProviderForClass', [key, {}]);
		await this.method(list, 'sortAndRewind', {fieldName1: 'id', ascending1: true,
			fieldName2: 'selfSize', ascending2: true});
		return (await this.method(list, 'serializeItemsRange', 0, 5)).items;
	}
	async retainers(snapshot, index) {
		const list = await this.factory(snapshot, 'createRetainingEdgesProvider', [index]);
		return (await this.method(list, 'serializeItemsRange', 0, 50)).items;
	}
};
globalThis.look = async function(texts) {
	const devtools = await DevTools.start();
	const [first, second] = [await devtools.load(texts[0]), await devtools.load(texts[1])];
	const classes = await devtools.method(second, 'aggregatesWithFilter', {});
	const before = await devtools.method(first, 'aggregatesForDiff', '[]');
	const diff = await devtools.method(second, 'calculateSnapshotDiff', 'first', before);
	const key = name => Object.keys(classes).find(k => classes[k].name === name);
	const [document] = await devtools.some(second, key('document'));
	const retainers = await devtools.retainers(second, document.nodeIndex);
	return {
		classes: Object.fromEntries(Object.values(classes).map(c => [c.name, c])),
		diff: Object.fromEntries(Object.values(diff).map(d => [d.name, d])),
		retainers: retainers.map(edge => [edge.name, edge.node.name]),
		document,
	};
};
`;

function check({classes, diff, retainers, document}) {
	expect('sessions', classes.session.count, 1000);
	expect('their bytes', classes.session.self, 128000);
	expect('what the first keeps', classes.session.maxRet, 128000);
	expect('documents', classes.document.count, 1000);
	expect('new sessions', diff.session.addedCount, 1000);
	expect('lost ones', diff.session.removedCount, 0);
	expect('a distance', document.distance > 0 && document.distance < 10, true);
	expect('retainers', retainers.some(([name, by]) =>
		/^\["document \\x22\d+\\x22"\]$/.test(name) && by === 'ouro_map'), true);
}

withBrowser('DevTools', async (browser, devtools) => {
	const session = await browser.open(devtools + 'entrypoints/heap_snapshot_worker/' +
		'heap_snapshot_worker-entrypoint.js');
	await browser.evaluate(session, inPage);
	const texts = process.argv.slice(2, 5).map(file => fs.readFileSync(file, 'utf8'));
	check(await browser.evaluate(session, `look(${JSON.stringify(texts)})`));
});
