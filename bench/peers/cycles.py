#!/usr/bin/env python3
# cycles.py list|NAME [REPETITIONS] - the rows of bench_cycles.cc and bench_full.cc with CPython's collector.
#
# A repetition is a line: the row's name, nanoseconds for one operation by the clock and of the process's CPU time, "ns".
# The collector is left as CPython sets it, and what it has not yet found is collected within the timed region.
import gc
import random
import sys
import threading
import time

BATCH, LIVE_PAIRS = 1000000, 50000


class Node:
    __slots__ = ('other', 'value')


class Four:
    __slots__ = ('a', 'b', 'c', 'd')


def new_pair():
    a, b = Node(), Node()
    a.value = b.value = 0
    a.other, b.other = b, a
    return a


def make_pairs(n):
    for _ in range(n):
        new_pair()


def make_ring(n):
    first = last = Node()
    first.value = 0
    for _ in range(n - 1):
        node = Node()
        node.value = 0
        last.other = node
        last = node
    last.other = first


def in_threads(n_threads, work, *args):
    others = [threading.Thread(target=work, args=args) for _ in range(n_threads - 1)]
    for t in others:
        t.start()
    work(*args)
    for t in others:
        t.join()


def timed(name, operations, work, *args):
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    work(*args)
    wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
    print(f'{name}\t{wall / operations:.6g}\t{cpu / operations:.6g}\tns', flush=True)


def dead_pairs(n_threads):
    in_threads(n_threads, make_pairs, BATCH)
    gc.collect()


def ring():
    make_ring(BATCH)
    gc.collect()


def pairs(name, repetitions, n_threads, n_live):
    live = [new_pair() for _ in range(n_live)]
    gc.collect()
    for _ in range(repetitions):
        timed(name, n_threads * BATCH, dead_pairs, n_threads)
    del live


def rings(name, repetitions):
    for _ in range(repetitions):
        timed(name, BATCH, ring)


def is_room(n_bytes):
    for line in open('/proc/meminfo'):
        if line.startswith('MemAvailable:'):
            return int(line.split()[1]) * 1024 > n_bytes
    return True


def random_graph(n):
    nodes = [Four() for _ in range(n)]
    index = random.Random(1).random
    for node in nodes:
        node.a = nodes[int(index() * n)]
        node.b = nodes[int(index() * n)]
        node.c = nodes[int(index() * n)]
        node.d = nodes[int(index() * n)]
    return nodes


# 64 bytes an object, 8 in the table, and as much again to be on the safe side.
def full(name, repetitions, n):
    if not is_room(144 * n):
        print(f'{name}: too little memory is available', file=sys.stderr)
        return
    gc.disable()
    nodes = random_graph(n)
    gc.enable()
    gc.collect()
    for _ in range(repetitions):
        timed(name, n, gc.collect)
    del nodes


ROWS = {
    'dead_pairs/CPython/process_time/real_time/threads:1': (pairs, 1, 0),
    'dead_pairs/CPython/process_time/real_time/threads:2': (pairs, 2, 0),
    'dead_pairs_beside_100000_live/CPython/process_time/real_time/threads:1': (pairs, 1, LIVE_PAIRS),
    'dead_pairs_beside_100000_live/CPython/process_time/real_time/threads:2': (pairs, 2, LIVE_PAIRS),
    'ring_of_1000000/CPython/process_time/real_time': (rings,),
    'full_collection_of_live/CPython/1000000/process_time/real_time': (full, 1000000),
    'full_collection_of_live/CPython/10000000/process_time/real_time': (full, 10000000),
}


def main():
    if len(sys.argv) < 2 or sys.argv[1] != 'list' and sys.argv[1] not in ROWS:
        sys.exit('usage: cycles.py list|NAME [REPETITIONS]')
    if sys.argv[1] == 'list':
        print('\n'.join(ROWS))
        return
    row, *args = ROWS[sys.argv[1]]
    row(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5, *args)


main()
