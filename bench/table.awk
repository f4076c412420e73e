# table.awk ROWS - from rows.awk's lines: the median of ours beside that of each peer

function add(row, kind, figure) {
	if (!(row in kinds))
		rows[++n_rows] = row
	if (!((row, kind) in figures))
		kinds[row] = kinds[row] "\n" kind
	figures[row, kind] = figure
}

BEGIN { FS = "\t" }
$6 != "elapsed" { add($2, $4, $8 ? $9 : "skipped") }

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
