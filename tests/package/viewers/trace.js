// trace.js TRACE - the engine of the Performance panel of Chromium's DevTools, its own frontend's code,
// reads a trace of metrics.c: threads by their names, each span of the file, one inside the other.
'use strict';
const fs = require('fs');
const {expect, withBrowser} = require('./browser.js');

const inPage = `
globalThis.look = async function(file) {
	const engine = await import('/devtools/models/trace/trace.js');
	const model = engine.TraceModel.Model.createWithAllHandlers();
	await model.parse(file.traceEvents, {metadata: {}});
	const {data} = model.parsedTrace(0);
	const spans = thread => thread.entries.map(entry => {
		const path = [];
		for (let node = thread.entryToNode.get(entry); node; node = node.parent)
			path.unshift(node.entry.name);
		return {path: path.join(' > '), us: entry.dur};
	});
	return {
		generic: data.Meta.traceIsGeneric,
		names: [...data.Meta.threadsInProcess.values()].flatMap(threads =>
			[...threads.values()].map(event => event.args.name)),
		threads: engine.Handlers.Threads.threadsInTrace(data).map(thread =>
			({name: thread.name, tid: thread.tid, spans: spans(thread)})),
	};
};
`;

function check({generic, names, threads}, events) {
	expect('not a page of a browser', generic, true);
	// The file names those that have an event; the reaper may have had no time for one.
	const named = events.filter(event => event.name === 'thread_name').map(event => event.args.name);
	expect('threads', ['metrics', ...named].every(n => names.includes(n)), true);
	const complete = events.filter(event => event.ph === 'X');
	expect('spans', threads.reduce((n, t) => n + t.spans.length, 0), complete.length);
	const main = threads.find(thread => thread.name === 'metrics');
	expect('spans of a thread', main.spans.length,
		complete.filter(event => event.tid === main.tid).length);
	for (const path of ['collection of generation 0 > stop: young collection > wait for threads',
		'collection of generation 1 > stop: young collection', 'collection of generation 2 > scan'])
		expect(path, main.spans.filter(span => span.path === path).length >= 10, true);
	expect('durations', main.spans.every(span => span.us >= 0 && span.us < 6e8), true);
}

withBrowser("DevTools' performance panel", async (browser, devtools) => {
	const session = await browser.open(devtools + 'models/trace/trace.js');
	await browser.evaluate(session, inPage);
	const text = fs.readFileSync(process.argv[2], 'utf8');
	check(await browser.evaluate(session, `look(${text})`), JSON.parse(text).traceEvents);
});
