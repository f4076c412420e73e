// memlab.js FIRST SECOND THIRD - Meta's memlab reads three snapshots of leaky.c, and must find the
// leak that it plants: what the second has, the first has not and the third still has.
'use strict';
const path = require('path');
const {analysis, config, fileManager, utils} = require('@memlab/core');

function expect(what, is, wanted) {
	if (is !== wanted)
		throw new Error(`${what}: ${is}, not ${wanted}`);
}

// Names, and what edges lead to, as memlab understands them.
async function look(file) {
	const heap = await utils.getSnapshotFromFile(file, {buildNodeIdIndex: true});
	const count = {};
	let server;
	heap.nodes.forEach(node => {
		count[node.name] = (count[node.name] || 0) + 1;
		if (node.name === 'server')
			server = node;
	});
	expect('sessions', count.session, 1000);
	expect('documents', count.document, 1000);
	const map = server.getReferenceNode('documents', 'property');
	expect('the map', map.name, 'ouro_map');
	const found = map.getReferenceNode('["document \\x227\\x22"]', 'property');
	expect('what is under a key', found.name, 'document');
}

function findLeaks(files) {
	// its own filters look for what leaks in a browser
	config.externalLeakFilter = {leakFilter: (node, heap, leaked) => leaked.has(node.id)};
	config.useExternalSnapshot = true;
	config.externalSnapshotFilePaths = files;
	config.chaseWeakMapEdge = false;
	fileManager.initDirs(config, {workDir: path.join(path.dirname(files[0]), 'memlab')});
	return analysis.checkLeak();
}

async function main() {
	const files = process.argv.slice(2, 5);
	config.muteConsole = true;
	await look(files[1]);
	// Each leak is a path, a property for each step: "3:   --forgotten (property)--->  [session]..."
	const leaks = await findLeaks(files);
	const found = leaks.some(leak => Object.keys(leak).some(step =>
		/--forgotten \(property\)--->\s+\[session\]\(object\)/.test(step)));
	expect('the leak is found', found, true);
	console.log('memlab: ok');
}

main().catch(error => {
	console.error(error);
	process.exit(1);
});
