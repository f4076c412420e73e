# cycles.nim list|NAME [REPETITIONS] - the rows of bench_cycles.cc, and bench_trees.cc's with parents, with nim's ORC;
# lines as cycles.py's.
#
# Compiled with --mm:orc: its counts are not atomic, its heap is one thread's, and so are the rows. With --mm:yrc, where
# nim knows that, the counts and the collector are safe for threads; -d:collector names the rows.
import std/[monotimes, os, strutils, times]

const
  collector {.strdefine.} = "ORC"
  batch = 1_000_000
  livePairs = 50_000
  minDepth = 4

type
  Node = ref object
    other: Node
    value: int
  Tree = ref object
    left, right, parent: Tree

proc newPair(): Node =
  result = Node()
  result.other = Node(other: result)

proc deadPairs() =
  for _ in 1 .. batch:
    discard newPair()
  GC_fullCollect()

proc makeRing(n: int) =
  let first = Node()
  var last = first
  for _ in 1 ..< n:
    let node = Node()
    last.other = node
    last = node
  last.other = first

proc ring() =
  makeRing(batch)
  GC_fullCollect()

proc makeTree(depth: int): Tree =
  result = Tree()
  if depth > 0:
    result.left = makeTree(depth - 1)
    result.right = makeTree(depth - 1)
    result.left.parent = result
    result.right.parent = result

proc count(t: Tree): int =
  if t != nil: 1 + count(t.left) + count(t.right) else: 0

proc treeSize(depth: int): int = (2 shl depth) - 1

proc treesOf(depth, maxDepth: int): int = 1 shl (maxDepth - depth + minDepth)

proc program(maxDepth: int): int =
  result = count(makeTree(maxDepth + 1))
  let longLived = makeTree(maxDepth)
  for depth in countup(minDepth, maxDepth, 2):
    for _ in 1 .. treesOf(depth, maxDepth):
      result += count(makeTree(depth))
  result += count(longLived)

proc programSize(maxDepth: int): int =
  result = treeSize(maxDepth + 1) + treeSize(maxDepth)
  for depth in countup(minDepth, maxDepth, 2):
    result += treesOf(depth, maxDepth) * treeSize(depth)

proc trees(maxDepth: int) =
  doAssert program(maxDepth) == programSize(maxDepth)
  GC_fullCollect()

template timed(name: string, operations: int, work: untyped) =
  let
    wall = getMonoTime()
    cpu = cpuTime()
  work
  let
    cpuNs = (cpuTime() - cpu) * 1e9 / float(operations)
    wallNs = float(inNanoseconds(getMonoTime() - wall)) / float(operations)
  echo name, "\t", formatFloat(wallNs, precision = 6), "\t", formatFloat(cpuNs, precision = 6), "\tns"

const
  pairsRow = "dead_pairs/nim " & collector & "/process_time/real_time/threads:1"
  besideRow = "dead_pairs_beside_100000_live/nim " & collector & "/process_time/real_time/threads:1"
  ringRow = "ring_of_1000000/nim " & collector & "/process_time/real_time"
  treesRow = "trees_parents/nim " & collector & "/depth:"

proc main() =
  let
    name = if paramCount() > 0: paramStr(1) else: ""
    repetitions = if paramCount() > 1: parseInt(paramStr(2)) else: 5
  var live: seq[Node]
  if name == "list":
    echo pairsRow, "\n", besideRow, "\n", ringRow
    for depth in getEnv("DEPTH", "16").splitWhitespace:
      echo treesRow, depth, "/process_time/real_time/threads:1"
    return
  if name == besideRow:
    for _ in 1 .. livePairs:
      live.add newPair()
  for _ in 1 .. repetitions:
    if name == pairsRow or name == besideRow:
      timed(name, batch, deadPairs())
    elif name == ringRow:
      timed(name, batch, ring())
    elif name.startsWith(treesRow):
      let depth = parseInt(name[treesRow.len .. ^1].split('/')[0])
      timed(name, programSize(depth), trees(depth))
    else:
      quit "usage: cycles_nim list|NAME [REPETITIONS]"
  doAssert live.len == (if name == besideRow: livePairs else: 0)

main()
