# table.awk LIST... JSON... - from Google Benchmark's output: the median of ours beside that of each peer.
# The lists (--benchmark_list_tests) give the order of the rows.
#
# Names are row/implementation[/number][/process_time][/real_time][/threads:N]. A row that measures real time
# is shown by it, and once more by CPU time when it has that of the whole process; all others by CPU time.

function value(line) {
	sub(/^[^:]*: */, "", line)
	gsub(/^"|",?$|,$/, "", line)
	return line
}

# The implementation is the second part of the name; what remains names the row.
function split_name(name, part, n, i) {
	n = split(name, part, "/")
	kind = part[2]
	row = part[1]
	wall = process = 0
	for (i = 3; i <= n; i++)
		if (part[i] == "real_time")
			wall = 1
		else if (part[i] == "process_time")
			process = 1
		else if (part[i] != "threads:1")
			row = row " " part[i]
	sub(/threads:/, "threads ", row)
}

function add(row, kind, figure) {
	if (!(row in kinds))
		rows[++n_rows] = row
	if (!((row, kind) in figures))
		kinds[row] = kinds[row] "\n" kind
	figures[row, kind] = figure
}

function record(name, real, cpu) {
	split_name(name)
	add(row (wall ? ", wall" : ""), kind, wall ? real : cpu)
	if (wall && process)
		add(row ", cpu", kind, cpu)
}

FILENAME ~ /\.list$/ { record($0, "", ""); next }
/"run_name":/ { name = value($0); median = 0 }
/"repetitions": 1,/ || /"aggregate_name": "median"/ { median = 1 }
/"error_occurred": true/ { record(name, "skipped", "skipped"); median = 0 }
/"real_time":/ { real = value($0) }
/"cpu_time":/ { cpu = value($0) }
/"time_unit":/ && median { record(name, real, cpu) }

function line(row, ours, peer, theirs) {
	printf "%-42s %9.2f  %-18s ", row, ours, peer
	if (theirs == "skipped")
		printf "%9s\n", theirs
	else if (theirs != "")
		printf "%9.2f %7.2f\n", theirs, ours / theirs
	else
		printf "\n"
}

function show(row, list, n, i) {
	n = split(substr(kinds[row], 2), list, "\n")
	for (i = 1; i <= n; i++)
		if (list[i] != "ouro")
			line(row, figures[row, "ouro"], list[i], figures[row, list[i]])
		else if (n == 1)
			line(row, figures[row, "ouro"], "", "")
}

END {
	printf "\n%-42s %9s  %-18s %9s %7s\n", "median ns", "ours", "peer", "peer's", "ratio"
	for (i = 1; i <= n_rows; i++)
		show(rows[i])
}
