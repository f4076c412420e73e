# rows.awk JSON - what merge.awk wrote, as a line for each row and implementation, its repetitions reduced to their median,
# least and greatest. Columns, separated by tabs:
#   1 program  2 row, as shown  3 row without threads and clock  4 implementation  5 threads  6 clock  7 unit
#   8 repetitions (0: skipped, and column 9 says why)  9 median  10 least  11 greatest  12 command  13 all, in order of size
#
# Names are row/implementation[/number][/process_time][/real_time][/threads:N]. A row that measures real time is shown by
# it, and once more by CPU time when it has that of the whole process; all others by CPU time. Rows with threads have one
# line more, clock "elapsed", for the throughput of all threads together.

function value(line) {
	sub(/^[^:]*: */, "", line)
	gsub(/^"|",?$|,$/, "", line)
	gsub(/\\"/, "\"", line)
	gsub(/\\\\/, "\\", line)
	return line
}

# The implementation is the second part of the name; what remains names the row.
function split_name(name, part, n, i) {
	n = split(name, part, "/")
	kind = part[2]
	row = part[1]
	threads = wall = process = 0
	for (i = 3; i <= n; i++)
		if (part[i] == "real_time")
			wall = 1
		else if (part[i] == "process_time")
			process = 1
		else if (part[i] ~ /^threads:/)
			threads = substr(part[i], 9)
		else
			row = row " " part[i]
}

function add(name, clock, figure) {
	if (!((name, clock) in n))
		lines[++n_lines] = name SUBSEP clock
	if (!(row in program))
		program[row] = group
	figures[name, clock, ++n[name, clock]] = figure
}

function sorted(name, clock, i, j, x) {
	for (i = 1; i <= n[name, clock]; i++) {
		x = figures[name, clock, i]
		for (j = i; j > 1 && v[j - 1] > x; j--)
			v[j] = v[j - 1]
		v[j] = x
	}
	return i - 1
}

function show(name, clock, count, label, i) {
	split_name(name)
	label = row (threads > 1 ? " threads " threads : "") (clock != "elapsed" && wall && process ? ", " clock : "")
	printf "%s\t%s\t%s\t%s\t%d\t%s\t%s\t", program[row], label, row, kind, threads ? threads : 1, clock, unit[name]
	count = why[name] == "" ? sorted(name, clock) : 0
	if (count)
		printf "%d\t%.10g\t%.10g\t%.10g", count, (v[int((count + 1) / 2)] + v[int(count / 2) + 1]) / 2, v[1], v[count]
	else
		printf "0\t%s\t\t", why[name]
	printf "\t%s\t", command[name]
	for (i = 1; i <= count; i++)
		printf("%s%.10g", i == 1 ? "" : " ", v[i])
	printf "\n"
}

/^    \{/ { inside = 1; name = error = "" }
/^    \}/ && inside {
	inside = 0
	command[name] = how
	unit[name] = scale
	if (error != "")
		why[name] = error
	split_name(name)
	add(name, wall ? "wall" : "cpu", wall ? real : cpu)
	if (wall && process)
		add(name, "cpu", cpu)
	if (threads)
		add(name, "elapsed", real)
}
/"run_name":/ { name = value($0) }
/"error_message":/ { error = value($0) }
/"real_time":/ { real = value($0) + 0 }
/"cpu_time":/ { cpu = value($0) + 0 }
/"time_unit":/ { scale = value($0) }
/"group":/ { group = value($0) }
/"command":/ { how = value($0) }

END {
	for (i = 1; i <= n_lines; i++) {
		split(lines[i], part, SUBSEP)
		show(part[1], part[2])
	}
}
