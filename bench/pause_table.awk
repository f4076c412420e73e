# pause_table.awk - the lines of pause_tsv.c as a table: for each number of live nodes, a row for each program

function us(x)
{
	return x == "" ? "" : sprintf(x < 10 ? "%.2f" : x < 100 ? "%.1f" : "%.0f", x)
}

function share(key, percent)
{
	return key in percent ? sprintf("%.1f", percent[key]) : ""
}

function row(key, name, live)
{
	printf "%9d  %-8s", live, name
	printf " %6s %8s %8s %8s %8s", n[key, "stops"], us(p50[key, "stops"]), us(p99[key, "stops"]),
		us(p999[key, "stops"]), us(most[key, "stops"])
	printf " | %6s %7s %7s %8s %8s", us(p50[key, "operation"]), us(p99[key, "operation"]),
		us(p999[key, "operation"]), us(most[key, "operation"]), us(most[key, "not preempted"])
	printf " | %6.2f %6s %7s %6.0f\n", rate[key] / 1e6, share(key, idle), share(key, slept), memory[key]
}

BEGIN { FS = "\t" }

{ key = $1 FS $2 }
!(key in seen) { seen[key] = 1; keys[++n_keys] = key }
$3 == "figure" { n[key, $4] = $5; p50[key, $4] = $6; p99[key, $4] = $7; p999[key, $4] = $8; most[key, $4] = $9 }
$3 == "rate" { rate[key] = $4; seconds[key] = $5 }
$3 == "idle" { idle[key] = $4 }
$3 == "slept" { slept[key] = $4 }
$3 == "memory" && $4 <= seconds[key] && $5 > memory[key] { memory[key] = $5 }

END {
	printf "\n%20s %-42s | %-40s |\n", "", "stops, microseconds", "operations, microseconds"
	printf "%9s  %-8s %6s %8s %8s %8s %8s", "live", "program", "n", "p50", "p99", "p99.9", "max"
	printf " | %6s %7s %7s %8s %8s | %6s %6s %7s %6s\n", "p50", "p99", "p99.9", "max", "max *",
		"M op/s", "idle %", "slept %", "max MB"
	for (i = 1; i <= n_keys; i++) {
		split(keys[i], part, FS)
		if (i > 1 && part[2] != before)
			print ""
		before = part[2]
		row(keys[i], part[1], part[2])
	}
	print "* of the operations during which the system did not take the thread off its processor"
	print "idle: of all processors, meanwhile; slept: of the threads' time, for the collector"
}
