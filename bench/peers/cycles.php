<?php
// cycles.php list|NAME [REPETITIONS] - the rows of bench_cycles.cc with PHP's collector; lines as cycles.py's.
//
// The collector is left as PHP sets it: it runs at 10 001 possible roots, and at more when that finds little.
ini_set('memory_limit', '-1');

const BATCH = 1000000;
const LIVE_PAIRS = 50000;

final class Node
{
	public ?Node $other = null;
	public int $value = 0;
}

function new_pair(): Node
{
	$a = new Node();
	$b = new Node();
	$a->other = $b;
	$b->other = $a;
	return $a;
}

function dead_pairs(): void
{
	for ($i = 0; $i < BATCH; $i++)
		new_pair();
	gc_collect_cycles();
}

function make_ring(int $n): void
{
	$first = $last = new Node();
	for ($i = 1; $i < $n; $i++) {
		$node = new Node();
		$last->other = $node;
		$last = $node;
	}
	$last->other = $first;
}

function ring(): void
{
	make_ring(BATCH);
	gc_collect_cycles();
}

function cpu_ns(): float
{
	$use = getrusage();
	return 1e9 * ($use['ru_utime.tv_sec'] + $use['ru_stime.tv_sec']) +
		1e3 * ($use['ru_utime.tv_usec'] + $use['ru_stime.tv_usec']);
}

function timed(string $name, callable $work): void
{
	$wall = hrtime(true);
	$cpu = cpu_ns();
	$work();
	printf("%s\t%.6g\t%.6g\tns\n", $name, (hrtime(true) - $wall) / BATCH, (cpu_ns() - $cpu) / BATCH);
}

const ROWS = [
	'dead_pairs/PHP/process_time/real_time/threads:1' => ['dead_pairs', 0],
	'dead_pairs_beside_100000_live/PHP/process_time/real_time/threads:1' => ['dead_pairs', LIVE_PAIRS],
	'ring_of_1000000/PHP/process_time/real_time' => ['ring', 0],
];

$name = $argv[1] ?? '';
if ($name === 'list') {
	echo implode("\n", array_keys(ROWS)), "\n";
} elseif (isset(ROWS[$name])) {
	[$work, $n_live] = ROWS[$name];
	$live = [];
	for ($i = 0; $i < $n_live; $i++)
		$live[] = new_pair();
	for ($i = 0; $i < (int)($argv[2] ?? 5); $i++)
		timed($name, $work);
} else {
	fwrite(STDERR, "usage: cycles.php list|NAME [REPETITIONS]\n");
	exit(2);
}
