# markdown.awk README.TSV ROWS - from rows.awk's lines: the table of RESULTS.md, a line for each row that README.TSV names, ours first

# Three digits are what a figure is good for; thousands are set apart.
function short(x, text, n) {
	if (x < 20)
		return sprintf(x < 0.1 ? "%.2f" : "%.1f", x)
	text = sprintf("%.0f", x)
	for (n = length(text) - 3; n > 0; n -= 3)
		text = substr(text, 1, n) " " substr(text, n + 1)
	return text
}

function ratio(x) {
	return sprintf(x < 0.995 ? "%.2f" : x < 9.95 ? "%.1f" : "%.0f", x)
}

function add(row, kind) {
	unit[row] = $7
	if (!((row, kind) in median))
		kinds[row] = kinds[row] kind "\n"
	median[row, kind] = $9
}

BEGIN { FS = "\t" }
NR == FNR {
	rows[++n_rows] = $1
	wording[$1] = $2
	next
}
$6 != "elapsed" && $8 {
	gsub(/_/, " ", $2)
	add($2, $4)
}

function line(row, ours, list, n, i, peers, ratios, and) {
	n = split(kinds[row], list, "\n") - 1
	for (i = 1; i <= n; i++) {
		if (list[i] == "ouro")
			continue
		peers = peers and list[i] " " short(median[row, list[i]])
		if (ours != "" && median[row, list[i]] > 0)
			ratios = ratios and ratio(ours / median[row, list[i]])
		and = ", "
	}
	printf "| %s | %s | %s | %s |\n", wording[row], ours == "" ? "" : short(ours) " " unit[row], peers, ratios
}

END {
	print "| work | ouro | peers | ratio to each |\n|---|---|---|---|"
	for (i = 1; i <= n_rows; i++)
		if (rows[i] in kinds)
			line(rows[i], median[rows[i], "ouro"])
}
