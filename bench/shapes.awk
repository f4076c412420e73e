# shapes.awk - lines of bench/shapes, with the side (new, old) before each, as a table: medians; and
# new divided by old of the same round, with the least and the greatest of the rounds

function sorted(list, n, i, j, v) {
	for (i = 2; i <= n; i++) {
		v = list[i]
		for (j = i - 1; j > 0 && list[j] + 0 > v + 0; j--)
			list[j + 1] = list[j]
		list[j + 1] = v
	}
}

# Sets least and greatest.
function middle(list, n) {
	sorted(list, n)
	least = list[1]
	greatest = list[n]
	return list[int((n + 1) / 2)]
}

function median(side, shape, column, list, n, i) {
	n = runs[side, shape]
	for (i = 1; i <= n; i++)
		list[i] = value[side, shape, column, i]
	return middle(list, n)
}

function show(side, shape, rate) {
	rate = median(side, shape, 3)
	printf "%-17s %-4s %10.3f (%.3f to %.3f) %9s %7s %9s %10s %7s\n", shape, side, rate / 1e6,
		least / 1e6, greatest / 1e6, median(side, shape, 4), median(side, shape, 5),
		median(side, shape, 6), median(side, shape, 8), median(side, shape, 9)
}

function ratio(shape, column, list, n, i, v) {
	for (i = 1; i <= runs["new", shape]; i++)
		if (value["old", shape, column, i] + 0 > 0)
			list[++n] = value["new", shape, column, i] / value["old", shape, column, i]
	if (!n)
		return "-"
	v = middle(list, n)
	return sprintf("%.2f (%.2f to %.2f)", v, least, greatest)
}

!($2 in seen) { seen[$2] = 1; shapes[++n_shapes] = $2 }
{
	runs[$1, $2]++
	for (i = 3; i <= NF; i++)
		value[$1, $2, i, runs[$1, $2]] = $i
	compared = compared || $1 == "old"
}

END {
	print "\nM operations/s with least and greatest; of the library's threads: ns of CPU for each that died, share in %;"
	print "ns of CPU of the process for an operation; objects that collections found; collections"
	for (i = 1; i <= n_shapes; i++) {
		if (compared)
			show("old", shapes[i])
		show("new", shapes[i])
		if (compared)
			printf "%17s new / old: operations %s, CPU for each that died %s, CPU of an operation %s\n", "",
				ratio(shapes[i], 3), ratio(shapes[i], 4), ratio(shapes[i], 6)
	}
}
