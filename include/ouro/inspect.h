/*
 * ouro/inspect.h - why an object is alive, and the heap in a file for Chrome's DevTools
 *
 * Both read the heap while the program goes on, in stops of at most 2048 objects and about half of
 * pause_budget_ns, each followed by as long a time without: no stop grows with the heap. So what
 * they see is of many moments. Each object that is there throughout is in it, and each reference
 * that stays; of what is made, dropped or moved meanwhile there may be something or nothing: an
 * object that moves from one holder to another may seem to be held by both, or by none.
 *
 * With OURO_SNAPSHOT_SIGNAL=SIGUSR2 in the environment (any signal: a name, RTMIN+n, a number) that
 * has a snapshot written to OURO_SNAPSHOT_DIR, or the directory that the program was started in:
 * ouro.PID.N.heapsnapshot, with the first N that is free, which its owner alone may read, as the
 * keys of maps are in it. It has that name when it is whole; what became of it is logged. The
 * handler, which is there from the start of the heap on and stays, does no more than wake a thread
 * of the library's; a system call that the signal interrupts goes on as with SA_RESTART. A signal
 * that the program handles or ignores is left to it. Signals that come before a snapshot has begun
 * are one request. ouro_shutdown waits for one that is being written. In the child of a fork the
 * library has its threads again when there is something to do for them: until then, a signal waits.
 */
#ifndef OURO_INSPECT_H
#define OURO_INSPECT_H

#include "base.h"

OURO_BEGIN_DECLS

/* An object on a path of holders. Fields may be added at the end: the library alone makes them. */
typedef struct ouro_path_step {
	void *obj; /* borrowed for the call: retain it to keep it */
	/*
	 * Where in it the next object is: "next", "child[3]", "[7].key", in a map ["a key"] or
	 * [42], in a vector [3]; in an object that is a key, "values[0]", as its slot is called.
	 * "", if that has no name, and in the last step.
	 */
	const char *slot;
	size_t references; /* that it has; SIZE_MAX: it is immortal */
	/*
	 * How many of them no object holds: the locals of threads, globals, and what the program
	 * keeps elsewhere. The caller's own is one.
	 */
	size_t outside;
	bool frozen;
} ouro_path_step;

/* It may do what an ouro_object_visitor may. Return: false: the rest is not wanted. */
typedef bool (*ouro_path_visitor)(const ouro_path_step *step, void *arg);

/*
 * ouro_gc_path - why is @obj (borrowed) alive? fn(step, arg) for each object of a shortest path
 *                that leads to it
 *
 * A path begins with an object that is immortal, or has references that no other object holds; each
 * step refers to the next; the last is @obj. If it is the only one, no object keeps it alive that
 * would not die without it: its references are the program's, or come from what it refers to. A map
 * is one step, and the key is the name of its slot; of a vector it is the index.
 *
 * The heap is looked at while the program goes on (see above): references and outside are exact if
 * the objects' references do not change meanwhile. The path is then looked at again, step by step:
 * each step did refer to the next at a moment shortly before the visitor is called, and is held
 * until it returns. It is a shortest one of those that were there throughout, and no longer than
 * they are.
 * What happens if the visitor is left is said at ouro_gc_objects.
 * Return:  how many steps were visited; -1 with errno EINVAL (a NULL), EDEADLK (when pinned, or in
 *          an event function between GC_START and GC_STOP), ENOMEM (32 bytes an object and 16 a
 *          reference are needed, and 16 an object more), EAGAIN (the paths that were found did not
 *          last until they were looked at again, four times).
 * Blocks:  for one walk over the heap, in short stops, hence for pinned threads; until what was
 *          found has been searched; and as long as the visitor takes. A traverse, or an object with
 *          more than 16384 references outside of its items, is looked at in one stop, however long
 *          that takes.
 * Runs:    the visitor; traverse, in the stops; callbacks, if others dropped the last references
 *          meanwhile.
 */
OURO_API ssize_t ouro_gc_path(void *obj, ouro_path_visitor fn, void *arg);

/*
 * ouro_snapshot_write - write the heap to @f in the format of Chrome's DevTools, and flush it
 *
 * Called FILE.heapsnapshot, DevTools loads it (Memory, Load profile): retainers, dominators, the
 * sizes that objects keep alive, and, with a second one, what has come and gone between. Nodes are
 * objects, of their type's name, with the bytes of their blocks; acyclic ones are "native", parts
 * of containers "(array)". Edges bear the names of slots, the numbers of items and what traverse
 * tells of; a map has its values by their keys, ["a key"], [42], a vector its elements by their
 * numbers, an object that is a key what goes with it as "values[0]". An ouro_weak_map holds no
 * value: below its keys are parts of it. Below (GC roots) are
 *   (held by threads and globals)  objects with references that no object has; the edge says how
 *                                  many
 *   (immortal)                     those, and
 *   (dying)                        dead ones that wait for callbacks
 *   (frozen, held by nothing)      of what nothing above leads to, the frozen
 *   (held by nothing: ...)         and the rest: garbage not yet collected, mostly
 *   (memory outside the heap)      what ouro_external_bytes was told; with the name of a type
 *                                  before it, of objects of that type
 * An object has the same number in all snapshots of a process; another one of its type that is made
 * at its address later has it, too.
 * Return:  0; EINVAL (f NULL); EDEADLK (when pinned, or in an event function between GC_START and
 *          GC_STOP); ENOMEM (it takes about 40 bytes an object, 16 a reference, and 100 an entry
 *          of a map); EOVERFLOW (more than 128 GiB of heap, or 2^30 references, for which the
 *          format has no numbers); or why a write failed, as ENOSPC, or EIO if that is not known:
 *          part of it is written.
 * Blocks:  for one walk over the heap, in short stops, hence for pinned threads; then for @f, while
 *          nobody is stopped. Cancellation waits meanwhile.
 * Runs:    traverse, in the stops.
 */
OURO_API int ouro_snapshot_write(FILE *f);

OURO_END_DECLS

#endif
