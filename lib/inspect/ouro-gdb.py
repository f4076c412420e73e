"""ouro-gdb.py - what gdb can tell of the heap of a program that uses ouro

    (gdb) source PREFIX/share/ouro/ouro-gdb.py
    (gdb) help ouro

On a live process, between two of its steps, and on a core file. It calls nothing in the program: it
reads memory, by the debug information of the library (built with -g, as it is unless CFLAGS says
otherwise; the package libouro0-dbgsym). Nothing is kept from one command to the next.

A heap that is looked at in the middle of an operation is what it is then: a count that is about to
change, a block that is being made. What is said of one object is sure once its threads are outside
their gates (ouro threads).
"""

import struct
import time

import gdb

REGION_SHIFT = 25  # region.h
ENTRY_CHUNK = 4096  # entry.h
REGISTRY = 3  # lock.h: the lock that is held throughout a stop
# object.h
OWN_MERGED, OWN_KEY_MAX, OWN_GONE, OWN_IMMORTAL, OWN_FREE = 0, 0x7FF0, 0x7FFD, 0x7FFE, 0x7FFF
OWN_CANDIDATE = 0x8000
MERGED, QUEUED, DEAD = 1, 2, 4
FLAG_WEAK = 1
FLAGS = (
    (2, "finalized"),
    (4, "its finalizer runs"),
    (8, "found dead by a collection"),
    (16, "frozen"),
    (32, "stray: dead, and there was no memory to queue it"),
    (64, "immortal"),
    (128, "sealed: no finalizer can bring it back"),
)
REQUESTS = (  # thread.h
    (1, "stop"),
    (2, "seize"),
    (4, "drain"),
    (32, "backlog"),
    (64, "start"),
    (128, "parked"),
)
NAMED_MARK = (0x6F75726F, 0x73656D61)  # type.h: a list of fields that has their names
KEY_SHOWN = 64  # bytes of a map's key
STACK_LOOK = 1 << 20  # bytes of a thread's stack that are searched
FRAMES = 12


def value(expression):
    try:
        return gdb.parse_and_eval(expression)
    except gdb.error as e:
        raise gdb.GdbError(
            "ouro: %s (is the program running, or a core loaded, and is there debug information"
            " of libouro: -g, libouro0-dbgsym?)" % e
        )


def struct_type(name):
    try:
        return gdb.lookup_type("struct " + name)
    except gdb.error:
        raise gdb.GdbError(
            "ouro: no debug information of libouro (-g, libouro0-dbgsym), or no program yet"
        )


def read(address, n):
    return bytes(gdb.selected_inferior().read_memory(address, n))


def offsets(type_, base=0):
    """Where the fields of a struct lie, those of its nameless parts too: name -> bytes."""
    result = {}
    for f in type_.fields():
        at = base + f.bitpos // 8
        if f.name:
            result[f.name] = at
        else:
            result.update(offsets(f.type.strip_typedefs(), at))
    return result


def plural(n, word):
    return "%d %s%s" % (n, word, "" if n == 1 else "s")


# ---- types ----


class Type:
    """What the library knows of a type: oi_types."""

    def __init__(self, number):
        described = value("oi_types[%d]" % number)
        self.known = int(described["type"]) != 0
        self.name, self.slots, self.item_slots, self.item_size = "?", {}, {}, 0
        self.size, self.traverse, self.tracked = 0, 0, bool(described["tracked"])
        # A sampled object is of the twin of its type.
        self.number = int(described["next"]) if described["sampled"] else number
        if self.known:
            self.describe(described["type"].dereference())

    def describe(self, said):
        self.name = said["name"].string(errors="replace")
        self.size, self.item_size = int(said["size"]), int(said["item_size"])
        self.slots = self.words(said["slots"])
        self.item_slots = self.words(said["item_slots"])
        self.traverse = int(said["traverse"])

    @staticmethod
    def names(fields):
        """Those of the fields; the words of OURO_SLOTS, as far as there are any."""
        named = fields["named_"]
        if not int(fields["n"]) or tuple(int(named["mark"][i]) for i in (0, 1)) != NAMED_MARK:
            return []
        return [s.strip() for s in named["names"].string(errors="replace").split(",")]

    def words(self, fields):
        """Where slots lie, and their names, which may be empty: bytes -> name."""
        found, names = {}, self.names(fields)
        for i in range(int(fields["n"])):
            first, count = int(fields["field"][i]["offset"]), int(fields["field"][i]["count"])
            name = names[i] if i < len(names) else ""
            for k in range(count):
                found[first + 8 * k] = name + "[%d]" % k if name and count > 1 else name
        return found

    def slot_name(self, at):
        """As ouro_dump_dot has it: "next", "line[2]", "[7].value", or nothing."""
        if at in self.slots:
            return self.slots[at]
        if at < self.size or not self.item_slots:
            return ""
        i, within = divmod(at - self.size, self.item_size)
        name = self.item_slots.get(within, "")
        return "[%d]" % i + ("." + name if name else "")

    def is_slot(self, at, items):
        """Whether a reference of an object with so many items lies @at bytes from its start."""
        if at in self.slots:
            return True
        beyond = at - self.size
        return (
            bool(self.item_slots)
            and 0 <= beyond < items * self.item_size
            and beyond % self.item_size in self.item_slots
        )

    def all_slots(self, items):
        yield from self.slots
        for i in range(items if self.item_slots else 0):
            for at in self.item_slots:
                yield self.size + i * self.item_size + at


# ---- memory ----


class Page:
    """A page of blocks of one size, or the run of pages of one large object."""

    def __init__(self, region, start, fields):
        self.region, self.start = region, start
        self.block_size, self.bump, self.tracked = fields["block_size"], fields["bump"], True
        self.n_pages, self.tracked = fields["n_pages"], fields["tracked"]
        self.weak_index, self.number = fields["weak_index"], fields["number"]

    @property
    def bytes(self):
        return self.bump * self.block_size


class Object:
    """An object, or what was one: its header, read at one instant."""

    def __init__(self, heap, page, address, header):
        self.heap, self.page, self.header = heap, page, address
        self.address = address + heap.header_bytes
        number, self.flags, self.own, self.local, self.shared = header
        self.number = number
        self.candidate = bool(self.own & OWN_CANDIDATE)
        self.owner = self.own & ~OWN_CANDIDATE

    @property
    def type(self):
        return self.heap.type(self.number)

    @property
    def is_free(self):
        return self.owner in (OWN_FREE, OWN_GONE) or not self.number

    @property
    def counted_by_others(self):
        return (self.shared ^ 1 << 31) - (1 << 31) >> 3

    @property
    def counted_by_owner(self):
        return 0 if self.shared & MERGED else self.local

    @property
    def references(self):
        return self.counted_by_others + self.counted_by_owner

    @property
    def immortal(self):
        return self.owner == OWN_IMMORTAL or bool(self.flags & 64)

    @property
    def items(self):
        if not self.type.item_size:
            return 0
        return self.heap.word(self.header + self.page.block_size - 8)

    def slot(self, at):
        """What a slot is called."""
        name = self.type.slot_name(at)
        return "+%d%s" % (at, " (%s)" % name if name else "")

    @property
    def key(self):
        """The key of an entry of a map, or None."""
        if self.type.name != "ouro_map entry":
            return None
        entry = value("(struct oi_map_entry *) %d" % self.address)
        if entry["is_number"]:
            return "%d" % int(entry["number"])
        n = int(entry["number"])
        text = read(int(entry["bytes"].address), min(n, KEY_SHOWN))
        shown = ascii(text.decode(errors="backslashreplace"))
        return shown + ("..." if n > KEY_SHOWN else "")

    @property
    def block(self):
        return (self.header - self.page.start) // self.page.block_size

    def __str__(self):
        return '"%s" at %#x' % (self.type.name, self.address)


class Heap:
    """The heap as it is now."""

    def __init__(self):
        header, page = struct_type("oi_header"), struct_type("oi_page")
        region = struct_type("oi_region")
        self.types = {}
        self.header_bytes = header.sizeof
        at = offsets(header)
        self.header_fields = [
            (at["type"], "<H"),
            (at["flags"], "<B"),
            (at["own"], "<H"),
            (at["local"], "<I"),
            (at["shared"], "<I"),
        ]
        self.page_bytes_described = page.sizeof
        self.page_at = offsets(page)
        self.region_at = offsets(region)
        described = [f for f in region.fields() if f.name == "page"][0].type
        self.n_pages = described.range()[1] + 1
        self.page_bytes = (1 << REGION_SHIFT) // self.n_pages
        self.first_page = -(-region.sizeof // self.page_bytes)
        young = [f for f in region.fields() if f.name == "young"][0].type
        self.bitmap_words = young.target().target().range()[1] + 1

    def word(self, address):
        return struct.unpack("<Q", read(address, 8))[0]

    def type(self, number):
        if number not in self.types:
            self.types[number] = Type(number)
        return self.types[number]

    def regions(self):
        r = int(value("oi_regions"))
        while r:
            yield r
            r = self.word(r + self.region_at["next"])

    def describe_page(self, data, i):
        base = i * self.page_bytes_described

        def get(name, form):
            return struct.unpack_from(form, data, base + self.page_at[name])[0]

        return {
            "number": i,
            "state": get("state", "<B"),
            "block_size": get("block_size", "<Q"),
            "bump": get("bump", "<I"),
            "n_pages": get("n_pages", "<I"),
            "tracked": bool(get("tracked", "<B")),
            "weak_index": get("weak_index", "<Q"),
        }

    def pages_of(self, region):
        data = read(region + self.region_at["page"], self.n_pages * self.page_bytes_described)
        i = self.first_page
        while i < self.n_pages:
            fields = self.describe_page(data, i)
            if fields["state"] and fields["block_size"]:
                yield Page(region, region + i * self.page_bytes, fields)
            i += fields["n_pages"] or 1

    def pages(self):
        for region in self.regions():
            yield from self.pages_of(region)

    def header_in(self, data, at):
        return tuple(struct.unpack_from(form, data, at + o)[0] for o, form in self.header_fields)

    def object_of(self, page, block):
        address = page.start + block * page.block_size
        return Object(self, page, address, self.header_in(read(address, self.header_bytes), 0))

    def objects(self):
        """All that is no free block, what is dying included."""
        for page in self.pages():
            if page.block_size > self.page_bytes // 2:
                found = [self.object_of(page, i) for i in range(page.bump)]
            else:
                data = read(page.start, page.bytes)
                size = page.block_size
                found = [
                    Object(self, page, page.start + i * size, self.header_in(data, i * size))
                    for i in range(page.bump)
                ]
            yield from (o for o in found if not o.is_free)

    def find(self, address):
        """The object or the free block that an address lies in, or that begins there; or None."""
        for region in self.regions():
            n = self.word(region + self.region_at["bytes"])
            if not region <= address < region + n:
                continue
            for page in self.pages_of(region):
                if page.start <= address < page.start + page.bytes:
                    return self.object_of(page, (address - page.start) // page.block_size)
        return None

    def age(self, o):
        if not o.page.tracked:
            return None
        base = o.page.region + self.region_at["young"]
        base += o.page.number * 2 * self.bitmap_words * 8
        for age in range(2):
            if self.word(base + (age * self.bitmap_words + o.block // 64) * 8) >> o.block % 64 & 1:
                return age
        return 2

    def holders(self, wanted):
        """Pairs: an object that has the address in it, and where; whether that is a slot."""
        pattern = struct.pack("<Q", wanted)
        for page in self.pages():
            if not page.tracked and page.block_size <= self.header_bytes:
                continue
            for at in self.hits(page, pattern):
                o = self.object_of(page, at // page.block_size)
                within = at % page.block_size - self.header_bytes
                if o.is_free or within < 0 or within % 8:
                    continue
                if o.type.is_slot(within, o.items):
                    yield o, within, True
                elif o.type.traverse:
                    yield o, within, False

    @staticmethod
    def hits(page, pattern):
        step = 1 << 22  # large objects are read in parts; blocks are multiples of 16 bytes
        for first in range(0, page.bytes, step):
            data = read(page.start + first, min(step, page.bytes - first))
            at = data.find(pattern)
            while at >= 0:
                yield first + at
                at = data.find(pattern, at + 1)


# ---- threads ----


def gdb_threads():
    return {t.ptid[1]: t for t in gdb.selected_inferior().threads()}


class Thread:
    """The record of a thread."""

    def __init__(self, record):
        self.record = record
        self.key, self.tid = int(record["key"]), int(record["tid"])
        self.name = record["name"].string(errors="replace")
        self.gate, self.pinned = int(record["gate"]), int(record["pin_depth"])
        self.attached = bool(record["attached"])

    def __str__(self):
        return '"%s" (tid %d, key %d)' % (self.name, self.tid, self.key)

    @property
    def callback(self):
        if not int(self.record["callback"]):
            return None
        called = self.record["called"]
        if int(self.record["traversed"]):
            return 'the traverse of a "%s"' % self.record["traversed"]["name"].string()
        if int(called["aside"]):
            return "the " + called["aside"].string()
        if not int(called["type"]):
            return "a watch"
        for kind in ("finalize", "clear", "destroy"):
            if int(called["type"][kind]) == int(called["fn"]):
                return 'the %s of a "%s"' % (kind, called["type"]["name"].string())
        return "a callback"

    def doing(self):
        words = []
        if self.gate:
            words.append("inside its gate (epoch %d)" % self.gate)
        if self.pinned:
            words.append("pinned %s" % plural(self.pinned, "time"))
        if bool(self.record["forking"]):
            words.append("about to fork")
        if self.callback:
            words.append("in %s" % self.callback)
        if int(self.record["dying"]):
            words.append("carries out deaths")
        if bool(self.record["waiting"]):
            words.append("waits until a stop is over")
        queued = int(self.record["merges"]["n"])
        if queued:
            words.append("%s to merge" % plural(queued, "object"))
        waiting = int(self.record["deaths"]["frames"]["n"]) // 2
        if waiting:
            words.append("%s on its stack of deaths" % plural(waiting, "object"))
        asked = [name for bit, name in REQUESTS if int(self.record["request"]) & bit]
        if asked:
            words.append("asked: " + " ".join(asked))
        return "; ".join(words) or "outside"


def attached_threads():
    head = value("oi_threads")
    type_ = struct_type("oi_thread")
    at = offsets(type_)["link"]
    node = head["next"]
    while node != head.address:
        yield Thread(gdb.Value(int(node) - at).cast(type_.pointer()).dereference())
        node = node["next"]


def thread_of_key(key):
    record = value("'world/thread.c'::record[%d]" % key)
    return Thread(record.dereference()) if int(record) else None


def print_stack(tid):
    thread = gdb_threads().get(tid)
    if not thread:
        print("    gdb sees no such thread")
        return
    selected = gdb.selected_thread()
    thread.switch()
    for line in gdb.execute("backtrace %d" % FRAMES, to_string=True).splitlines():
        print("    " + line)
    if selected:
        selected.switch()


# ---- commands ----


class Ouro(gdb.Command):
    """What the heap of a program that uses ouro holds, and what its threads are at."""

    def __init__(self):
        super().__init__("ouro", gdb.COMMAND_DATA, gdb.COMPLETE_COMMAND, True)


def argument(text, usage):
    if not text.strip():
        raise gdb.GdbError("usage: " + usage)
    return int(value(text).cast(gdb.lookup_type("unsigned long")))


def object_at(heap, address):
    o = heap.find(address)
    if not o:
        raise gdb.GdbError("ouro: %#x lies in no block of the heap" % address)
    if o.is_free:
        was = ', a "%s" before' % o.type.name if o.number and o.type.known else ""
        kind = "waits for a grace period, and is free then" if o.owner == OWN_GONE else "is free"
        raise gdb.GdbError("ouro: the block at %#x %s%s" % (o.address, kind, was))
    return o


class OuroObject(gdb.Command):
    """ouro object ADDR: what is known of an object. ADDR is its own, or one inside of it."""

    def __init__(self):
        super().__init__("ouro object", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, text, from_tty):
        heap = Heap()
        o = object_at(heap, argument(text, "ouro object ADDR"))
        items = ", %s" % plural(o.items, "item") if o.type.item_size else ""
        print("%s: %d bytes%s, in a block of %d" % (o, o.type.size, items, o.page.block_size))
        print("  references: " + self.references(o))
        print("  owner:      " + self.owner(o))
        print("  age:        " + self.age(heap, o))
        print("  state:      " + self.state(o))
        print("  weak entry: " + self.weak(o))
        self.print_referents(heap, o)
        slots = sum(1 for _, _, sure in heap.holders(o.address) if sure)
        print("  holders:    %s (ouro holders %#x)" % (plural(slots, "slot"), o.address))

    @staticmethod
    def references(o):
        if o.immortal:
            return "immortal: they are not counted any more"
        if o.shared & MERGED:
            return "%d, counted by all threads in one (merged)" % o.references
        queue = ", one of them by the queue that has it merged" if o.shared & QUEUED else ""
        return "%d: %d counted by its owner, %d by all others%s" % (
            o.references,
            o.counted_by_owner,
            o.counted_by_others,
            queue,
        )

    @staticmethod
    def owner(o):
        if o.immortal or o.owner == OWN_IMMORTAL:
            return "none: immortal"
        if o.owner == OWN_MERGED:
            return "none any more: merged"
        thread = thread_of_key(o.owner) if o.owner <= OWN_KEY_MAX else None
        if not thread:
            return "unknown key %d" % o.owner
        return "thread %s%s" % (thread, "" if thread.attached else ", which is gone")

    @staticmethod
    def age(heap, o):
        age = heap.age(o)
        if age is None:
            return "none: it is not tracked by the collector"
        return ("0, young", "1, young", "2, old")[age]

    @staticmethod
    def state(o):
        words = [text for bit, text in FLAGS if o.flags & bit]
        if o.shared & DEAD:
            words.insert(0, "dead, and being taken apart")
        if o.candidate:
            words.append("a candidate of the collection that is under way")
        return "; ".join(words) or "alive"

    @staticmethod
    def weak(o):
        if not o.flags & FLAG_WEAK or not o.page.weak_index:
            return "none"
        index = struct.unpack("<I", read(o.page.weak_index + 4 * o.block, 4))[0]
        entry = value("oi_entry_chunk[%d][%d]" % (index // ENTRY_CHUNK, index % ENTRY_CHUNK))
        n, watch = 0, entry["watches"]
        while int(watch) and n < 1000:
            n, watch = n + 1, watch["next"]
        expired = "" if int(entry["object"]) else ", expired"
        return "%d, version %d, %s%s" % (index, int(entry["version"]), watches(n), expired)

    @staticmethod
    def print_referents(heap, o):
        n = 0
        for at in o.type.all_slots(o.items):
            child = heap.word(o.address + at)
            if not child:
                continue
            n += 1
            if n <= 16:
                found = heap.find(child)
                print("  refers to:  %s, from %s" % (found or "%#x" % child, o.slot(at)))
        if n > 16:
            print("  refers to:  ... %d in all" % n)
        if o.type.traverse:
            print("  refers to:  what its traverse says")


def watches(n):
    return "%d watch%s" % (n, "" if n == 1 else "es")


class OuroHeap(gdb.Command):
    """ouro heap: objects and bytes by type, the largest first."""

    def __init__(self):
        super().__init__("ouro heap", gdb.COMMAND_DATA, gdb.COMPLETE_NONE)

    def invoke(self, text, from_tty):
        heap = Heap()
        by_type = {}
        for o in heap.objects():
            row = by_type.setdefault(heap.type(o.number).number, [0, 0, 0])
            row[0] += 1
            row[1] += o.page.block_size
            row[2] += bool(o.shared & DEAD)
        print("%12s %14s %9s  type" % ("objects", "bytes", "dying"))
        for number, row in sorted(by_type.items(), key=lambda item: -item[1][1]):
            print("%12d %14d %9d  %s" % (row[0], row[1], row[2], heap.type(number).name))
        total = [sum(row[i] for row in by_type.values()) for i in range(3)]
        print("%12d %14d %9d  in all" % tuple(total))
        pages = [page.n_pages for page in heap.pages()]
        regions = sum(1 for _ in heap.regions())
        print(
            "%s of %d KiB in use, in %s"
            % (plural(sum(pages), "page"), heap.page_bytes >> 10, plural(regions, "region"))
        )


class OuroHolders(gdb.Command):
    """ouro holders ADDR: the objects whose slots refer to it, and where else it may be held.

    With the names of the slots, where OURO_SLOTS and its like have kept them, and keys of maps."""

    def __init__(self):
        super().__init__("ouro holders", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, text, from_tty):
        heap = Heap()
        o = object_at(heap, argument(text, "ouro holders ADDR"))
        slots, perhaps = 0, 0
        for holder, at, sure in heap.holders(o.address):
            dying = " (dying: it may have let go)" if holder.shared & DEAD else ""
            if sure:
                slots += not dying
                key = ", key " + holder.key if holder.key else ""
                print("%s, slot %s%s%s" % (holder, holder.slot(at), key, dying))
            else:
                perhaps += 1
                print("perhaps %s, +%d, which its traverse may visit" % (holder, at))
        print("%s: %s" % (o, self.sum(o, slots, perhaps)))
        for place in stack_places(o.address):
            print(place)

    @staticmethod
    def sum(o, slots, perhaps):
        if o.immortal:
            return "immortal; held by %s" % plural(slots, "slot")
        rest = o.references - slots - bool(o.shared & QUEUED)
        text = "%s, %s of objects" % (plural(o.references, "reference"), plural(slots, "slot"))
        if o.shared & QUEUED:
            text += ", one for the merge queue"
        unseen = "by what traverse visits, or " if perhaps else ""
        text += "; %d held %sby the program: locals, globals, memory of its own"
        return text % (rest, unseen)


def stack_places(wanted):
    """Where the address lies on a thread's stack, which says no more than that it was there."""
    pattern = struct.pack("<Q", wanted)
    selected = gdb.selected_thread()
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        frames = frames_of_thread()
        for at in stack_hits(frames[0][0], pattern) if frames else ():
            function = [name for sp, name in frames if sp <= at][-1]
            name = thread.name or "?"
            yield 'perhaps thread %d "%s", in %s, at %#x' % (thread.num, name, function, at)
    if selected:
        selected.switch()


def frames_of_thread():
    frames, frame = [], gdb.newest_frame()
    try:
        while frame and len(frames) < 256:
            frames.append((int(frame.read_register("sp")), frame.name() or "?"))
            frame = frame.older()
    except gdb.error:
        pass
    return frames


def stack_hits(sp, pattern):
    at, end = sp & ~7, sp + STACK_LOOK
    while at < end:
        try:
            data = read(at, 4096 - at % 4096)
        except gdb.MemoryError:
            return
        for i in range(0, len(data) - 7, 8):
            if data[i : i + 8] == pattern:
                yield at + i
        at += len(data)


class OuroThreads(gdb.Command):
    """ouro threads: the attached threads, and what each is at."""

    def __init__(self):
        super().__init__("ouro threads", gdb.COMMAND_STACK, gdb.COMPLETE_NONE)

    def invoke(self, text, from_tty):
        numbers = gdb_threads()
        for t in attached_threads():
            number = numbers[t.tid].num if t.tid in numbers else 0
            print("thread %d %s: %s" % (number, t, t.doing()))


class OuroStop(gdb.Command):
    """ouro stop: a stop of the world, or a grace period, that does not come: who is in its way."""

    def __init__(self):
        super().__init__("ouro stop", gdb.COMMAND_STACK, gdb.COMPLETE_NONE)

    def invoke(self, text, from_tty):
        world = value("oi_world")
        owner = int(value("oi_locks[%d].mutex.__data.__owner" % REGISTRY))
        if bool(world["stopped"]):
            self.stopped(world, owner)
        elif bool(world["stopping"]):
            self.asked(world, owner)
        else:
            self.running(owner)
        self.grace_period(world)

    @staticmethod
    def name(tid):
        return next((str(t) for t in attached_threads() if t.tid == tid), "of tid %d" % tid)

    def stopped(self, world, owner):
        text = "The world stands still, asked for %s, %s, by thread %s."
        print(text % (since(world), cause(world), self.name(owner)))
        print_stack(owner)

    def asked(self, world, owner):
        text = "A stop was asked for %s, %s, by thread %s."
        print(text % (since(world), cause(world), self.name(owner)))
        inside = [t for t in attached_threads() if t.gate and t.tid != owner]
        for t in inside:
            print("It waits for thread %s: %s" % (t, t.doing()))
            print_stack(t.tid)
        if not inside:
            print("Nobody is inside a gate: it is about to come.")

    def running(self, owner):
        print("The world runs, and no stop is asked for.")
        if owner:
            print("Thread %s holds the registry, for which a stop would wait." % self.name(owner))
            print_stack(owner)

    @staticmethod
    def grace_period(world):
        epoch, done = int(world["epoch"]), int(world["epoch_done"])
        if epoch == done:
            print("No grace period is under way.")
            return
        late = [t for t in attached_threads() if 0 < t.gate < epoch]
        print("Grace period %d is under way%s" % (epoch, ", and waits for:" if late else "."))
        for t in late:
            print("thread %s: %s" % (t, t.doing()))


def cause(world):
    """The name in ouro_stop, without its prefix."""
    return "cause %s" % str(world["asked_for"]).replace("OURO_STOP_", "").lower()


def since(world):
    """How long ago the stop was asked for; in a core, by when its thread last looked."""
    asked, looked = int(world["asked_ns"]), int(world["looked_ns"])
    if not asked:
        return "just now"
    target = gdb.execute("info target", to_string=True).lower()
    live = "core dump" not in target and "remote" not in target
    if live:
        return "%.3f s ago" % (time.clock_gettime_ns(time.CLOCK_MONOTONIC) / 1e9 - asked / 1e9)
    return "%.3f s before the last look" % (max(looked - asked, 0) / 1e9)


Ouro()
OuroObject()
OuroHeap()
OuroHolders()
OuroThreads()
OuroStop()
