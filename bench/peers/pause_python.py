"""pause_python.py - the work of bench/pause in CPython: Python's gc with its own reference counts, under its GIL

Options, work and the lines of --tsv are those of bench/pause (pause_load.h, pause_tsv.c). An operation is timed
from stamp to stamp, so waiting for the GIL is in it: that is what a thread there waits for. A node has slots for
two references and four values, 48 bytes as in C, behind CPython's header and the collector's.
"""
import argparse
import ctypes
import functools
import gc
import mmap
import os
import platform
import random
import resource
import struct
import sys
import threading
import time

STEPS = 32  # of latency.h: buckets for each power of two
BUCKETS = 60 * STEPS
SLOW_NS = 50_000
SAMPLE_S = 0.02
NODE_BYTES = 192  # resident, at most, for each live node: to see whether there is room
NAME = "CPython"

now = time.perf_counter_ns


class Node:
    __slots__ = ("other", "link", "a", "b", "c", "d")


class Latency:
    """The histogram of latency.h, in nanoseconds."""

    def __init__(self):
        self.n = self.max = 0
        self.bucket = [0] * BUCKETS

    def record(self, v):
        self.n += 1
        if v >= 2 * STEPS:
            shift = v.bit_length() - 6
            self.bucket[(shift + 1) * STEPS + (v >> shift) - STEPS] += 1
        else:
            self.bucket[v] += 1
        if v > self.max:
            self.max = v

    def add(self, other):
        self.n += other.n
        self.max = max(self.max, other.max)
        self.bucket = [a + b for a, b in zip(self.bucket, other.bucket)]

    def bound(self, i):
        """The largest value of bucket i; of the last one in use, the maximum, which is exact."""
        if i < 2 * STEPS:
            return min(i, self.max)
        return min(((STEPS + i % STEPS + 1) << (i // STEPS - 1)) - 1, self.max)

    def percentile(self, share):
        seen, rank = 0, -int(-self.n * share // 1)
        for i, n in enumerate(self.bucket):
            seen += n
            if seen and seen >= rank:
                return self.bound(i)
        return self.max


# ---- collections ----


class Stops:
    """The length of each collection, which holds up every thread.

    A callback in Python would let other threads have the GIL before it looks at the clock: the first and the last of
    the three are clock_gettime itself, which gets the two arguments of a callback and does not read them.
    """

    def __init__(self):
        self.ns = []
        self.start = (ctypes.c_int64 * 2)()
        self.stop = (ctypes.c_int64 * 2)()
        clock = ctypes.PyDLL(None).clock_gettime
        clock.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.py_object, ctypes.py_object]
        stamp = [
            functools.partial(clock, time.CLOCK_MONOTONIC, ctypes.addressof(t)) for t in (self.stop, self.start)
        ]
        gc.callbacks[:] = [stamp[0], self.record, stamp[1]]

    def record(self, phase, info):
        if phase == "stop":
            self.ns.append((self.stop[0] - self.start[0]) * 1_000_000_000 + self.stop[1] - self.start[1])


# ---- the threads ----


def idle_seconds():
    """Of all processors, since the machine started; None: the system does not say."""
    try:
        with open("/proc/stat") as f:
            fields = f.readline().split()
        return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return None


def involuntary_switches():
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw


def replace(table, i, link):
    a, b = Node(), Node()
    a.other, b.other = b, a
    if link:
        if table[i] is not None:
            table[i].link = None
        a.link = link()
    table[i] = a


class Run:
    """One heap: its tables, its threads, what they measured."""

    def __init__(self, options):
        self.options = options
        self.cycles = options.live // 2 // options.threads
        self.replaced = min(options.window or self.cycles, self.cycles)
        self.tables = [[None] * self.cycles for _ in range(options.threads)]
        self.gate = threading.Barrier(options.threads + 1)
        self.over = self.late = False
        self.deadline = now() + options.fill_limit * 1_000_000_000
        self.latencies = []
        self.stops = Stops()

    def fill(self, table, link):
        for i in range(self.cycles):
            replace(table, i, link)
            if i % 4096 == 0 and (self.late or now() > self.deadline):
                self.late = True
                return

    def work(self, me):
        rnd = random.Random(me).random
        table, tables, n = self.tables[me], self.tables, self.cycles
        link = None
        if self.options.graph == "random":
            def link():
                return tables[int(rnd() * len(tables))][int(rnd() * n)]
        self.fill(table, link)
        self.gate.wait()
        self.gate.wait()
        if not self.late:
            self.latencies.append(self.churn(table, link, rnd))

    def churn(self, table, link, rnd):
        every, alone = Latency(), Latency()
        n, acyclic = self.replaced, range(self.options.acyclic)
        switches = involuntary_switches()
        stamp = now()
        while not self.over:
            replace(table, int(rnd() * n), link)
            for _ in acyclic:
                Node()
            end = now()
            took = end - stamp
            stamp = end
            every.record(took)
            if took < SLOW_NS:
                alone.record(took)
                continue
            before, switches = switches, involuntary_switches()
            if before == switches:
                alone.record(took)
            stamp = now()
        return every, alone

    def ring(self):
        """Dropped at half time, or when it is built, if that is later."""
        last = head = Node()
        start = now()
        for _ in range(self.options.ring - 1):
            node = Node()
            node.other = head
            head = node
        last.other = head
        built = now() - start
        time.sleep(max(0, (self.began + int(self.options.seconds * 500_000_000) - now()) / 1e9))
        self.ring_said = f"ring of {self.options.ring}: built in {built / 1e9:.2f} s, "
        self.ring_said += f"dropped after {(now() - self.began) / 1e9:.2f} s"

    def measure(self, tell):
        """False: it took too long to fill. tell is called with the time at which the measured part begins."""
        threads = [threading.Thread(target=self.work, args=(i,)) for i in range(self.options.threads)]
        for t in threads:
            t.start()
        self.gate.wait()
        self.stops.ns.clear()
        self.began, idle = now(), idle_seconds()
        if self.options.ring and not self.late:
            threads.append(threading.Thread(target=self.ring))
            threads[-1].start()
        tell(self.began)
        self.gate.wait()
        if not self.late:
            time.sleep(self.options.seconds)
        self.seconds = (now() - self.began) / 1e9
        self.idle = None
        if idle is not None:
            self.idle = (idle_seconds() - idle) / self.seconds / os.cpu_count()
        self.over = True
        for t in threads:
            t.join()
        return not self.late


# ---- what is printed and written ----


def summary(latency):
    """n and p50, p99, p99.9, max in microseconds"""
    return latency.n, [latency.percentile(p) / 1000 for p in (0.5, 0.99, 0.999)] + [latency.max / 1000]


def exact(ns):
    ns = sorted(ns)
    return len(ns), [ns[-int(-len(ns) * p // 1) - 1] / 1000 if ns else 0 for p in (0.5, 0.99, 0.999, 1)]


def report(run, options):
    every, alone, stops = Latency(), Latency(), Latency()
    for a, b in run.latencies:
        every.add(a)
        alone.add(b)
    for ns in run.stops.ns:
        stops.record(ns)
    rate = every.n / run.seconds
    rows = [("stops", stops, exact(run.stops.ns)), ("operation", every, summary(every)),
            ("not preempted", alone, summary(alone))]
    print(f"\n== {NAME} {platform.python_version()}, {options.live} live nodes, {options.threads} threads, "
          f"{options.seconds:g} s, {options.graph}, {options.acyclic} acyclic beside each cycle")
    print(f"{'us':17}{'n':>13} {'p50':>9} {'p99':>9} {'p99.9':>9} {'worst':>9}")
    for kind, _, (n, us) in rows:
        print(f"  {kind:15}{n:13}", *(f"{x:9.1f}" for x in us))
    stood = sum(run.stops.ns) / 1e9 / run.seconds
    print(f"  operations/s     {rate / 1e6:11.2f} M")
    print(f"  the world stood still for {100 * stood:.2f} % of the time")
    if run.idle is not None:
        print(f"processors idle meanwhile, of all: {100 * run.idle:.1f} %")
    if options.ring:
        print(run.ring_said)
    if not options.tsv:
        return
    with open(options.tsv, "a") as f:
        head = f"{NAME}\t{options.live}"
        for kind, latency, (n, us) in rows:
            print(head, "figure", kind, n, *(f"{x:.3f}" for x in us), sep="\t", file=f)
            for i, count in enumerate(latency.bucket):
                if count:
                    print(head, "bucket", kind, f"{latency.bound(i) / 1000:.3f}", count, sep="\t", file=f)
        print(head, "rate", f"{rate:.0f}", f"{run.seconds:.3f}", sep="\t", file=f)
        if run.idle is not None:
            print(head, "idle", f"{100 * run.idle:.3f}", sep="\t", file=f)
        print(head, "stood", f"{100 * stood:.3f}", sep="\t", file=f)


# ---- a process for each size, looked at from outside ----


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * mmap.PAGESIZE


def child(options, shared):
    run = Run(options)
    if run.measure(lambda began: struct.pack_into("=q", shared, 0, began)):
        report(run, options)
    else:
        struct.pack_into("=q", shared, 0, 0)
        print(f"skipped: {NAME} with {options.live} live nodes was not filled within {options.fill_limit} s")
    sys.stdout.flush()
    os._exit(0)  # freeing what is live would take long and is not asked


def run_in_a_process(options):
    shared, samples = mmap.mmap(-1, 8), []
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        child(options, shared)
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
        samples.append((now(), resident_bytes(pid)))
        time.sleep(SAMPLE_S)
    (began,) = struct.unpack("=q", shared)
    if options.tsv and began:
        with open(options.tsv, "a") as f:
            for ns, size in samples:
                if size:
                    print(NAME, options.live, "memory", f"{(ns - began) / 1e9:.3f}", f"{size / 2**20:.1f}",
                          sep="\t", file=f)
    return os.waitstatus_to_exitcode(status)


def available_bytes():
    with open("/proc/meminfo") as f:
        for line in f:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def is_room(options):
    need, have = (options.live + options.ring) * NODE_BYTES, available_bytes()
    if have is None or need < have:
        return True
    print(f"skipped: {NAME} with {options.live} live nodes may need {need / 1e9:.1f} GB, "
          f"{have / 1e9:.1f} GB are available")
    return False


def main():
    parser = argparse.ArgumentParser(prog="pause_python.py")
    parser.add_argument("--live", type=int, default=0, help="nodes; else 100000, 1000000 and 10000000")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--graph", choices=("cycles", "random"), default="cycles")
    parser.add_argument("--acyclic", type=int, default=1)
    parser.add_argument("--window", type=int, default=0, help="replace only the first N cycles")
    parser.add_argument("--ring", type=int, default=0)
    parser.add_argument("--tsv")
    parser.add_argument("--fill-limit", type=int, default=120, metavar="S", help="give up filling the heap after that")
    options = parser.parse_args()
    status = 0
    for live in [options.live] if options.live else (100_000, 1_000_000, 10_000_000):
        options.live = live
        if is_room(options):
            status |= run_in_a_process(options)
    return status


if __name__ == "__main__":
    sys.exit(main())
