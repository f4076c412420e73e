#!/usr/bin/env python3
# memory.py list|NAME [REPETITIONS] - the rows of memory.cc with CPython: objects with slots, 8 bytes of payload each.
import gc
import os
import random
import sys

STEP, SIZES, ITEMS = 16, 8, 1000000

CLASSES = [type(f'Steps{n}', (), {'__slots__': [f's{i}' for i in range(n * STEP // 8)]}) for n in range(1, SIZES + 1)]


def resident():
    with open('/proc/self/statm') as f:
        return int(f.read().split()[1]) * os.sysconf('SC_PAGESIZE')


def payload(table):
    return sum(STEP * (CLASSES.index(type(o)) + 1) for o in table if o is not None)


def grown(before):
    gc.collect()
    return resident() - before


def table_of(n):
    return [None] * n, resident()


def per_object_32():
    table, before = table_of(ITEMS)
    for i in range(ITEMS):
        table[i] = CLASSES[32 // STEP - 1]()
    return grown(before) / ITEMS - 32


def freed_90_percent():
    draw = random.Random(1).random
    table, before = table_of(2 * ITEMS)
    for i in range(len(table)):
        table[i] = CLASSES[int(draw() * SIZES)]()
    for i in range(len(table)):
        if draw() < 0.9:
            table[i] = None
    return grown(before) / payload(table)


def churned():
    draw = random.Random(1).random
    table, before = table_of(ITEMS)
    for i in range(ITEMS):
        table[i] = CLASSES[int(draw() * SIZES)]()
    for _ in range(10 * ITEMS):
        table[int(draw() * ITEMS)] = CLASSES[int(draw() * SIZES)]()
    return grown(before) / payload(table)


ROWS = {
    'memory_per_object_32/CPython': (per_object_32, 'bytes'),
    'memory_freed_90_percent/CPython': (freed_90_percent, 'x payload'),
    'memory_churned/CPython': (churned, 'x payload'),
}


def in_a_process(name, row, unit):
    child = os.fork()
    if child == 0:
        figure = row()
        print(f'{name}\t{figure:.6g}\t{figure:.6g}\t{unit}', flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        sys.exit('memory.py: a process has failed')


def main():
    if len(sys.argv) < 2 or sys.argv[1] != 'list' and sys.argv[1] not in ROWS:
        sys.exit('usage: memory.py list|NAME [REPETITIONS]')
    if sys.argv[1] == 'list':
        print('\n'.join(ROWS))
        return
    for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 5):
        in_a_process(sys.argv[1], *ROWS[sys.argv[1]])


main()
