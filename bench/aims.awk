# aims.awk AIMS FIGURES - the table of aims.sh: a row for each line of AIMS, from what the rounds
# measured. AIMS, between tabs: key, work, peer, unit (x: ours divided by the peer's), the aim as it
# is shown, how a figure compares with it when it is reached, and the number. FIGURES: key, figure,
# ours, the peer's.

function sorted(list, n, i, j, v) {
	for (i = 2; i <= n; i++) {
		v = list[i]
		for (j = i - 1; j > 0 && list[j] > v; j--)
			list[j + 1] = list[j]
		list[j + 1] = v
	}
}

# Sets least and greatest.
function median(column, key, list, n, i) {
	n = 0
	for (i = 1; i <= rounds[key]; i++)
		if (value[key, column, i] != "")
			list[++n] = value[key, column, i] + 0
	if (!n)
		return ""
	sorted(list, n)
	least = list[1]
	greatest = list[n]
	return (list[int((n + 1) / 2)] + list[int(n / 2) + 1]) / 2
}

function short(x) {
	return x == "" ? "" : x >= 1000 || x == int(x) ? sprintf("%.0f", x) : sprintf("%.3g", x)
}

function reached(x, sense, aim) {
	return sense == ">=" ? x >= aim : sense == "<" ? x < aim : x <= aim
}

function row(key, ours, theirs, figure, shown, word) {
	ours = median(3, key)
	theirs = median(4, key)
	figure = median(2, key)
	if (figure == "") {
		shown = "skipped"
		word = ""
		n_skipped++
	} else {
		shown = short(figure) " " unit[key] \
			(rounds[key] > 1 ? " (" short(least) " to " short(greatest) ")" : "")
		word = reached(figure, sense[key], aim[key]) ? "yes" : "no"
		n_reached += word == "yes"
	}
	printf "| %-69s | %7s | %-34s | %-27s | %-9s | %-7s |\n", work[key], short(ours),
		peer[key] (theirs != "" ? " " short(theirs) : ""), shown, text[key], word
}

BEGIN { FS = "\t" }
FNR == 1 { file++ }
file == 1 {
	keys[++n_keys] = $1
	work[$1] = $2
	peer[$1] = $3
	unit[$1] = $4
	text[$1] = $5
	sense[$1] = $6
	aim[$1] = $7 + 0
	next
}
{
	rounds[$1]++
	for (i = 2; i <= 4; i++)
		value[$1, i, rounds[$1]] = $i
}

END {
	printf "| %-69s | %7s | %-34s | %-27s | %-9s | %-7s |\n", "work", "ours", "peer in the same run",
		"median (least to greatest)", "aim", "reached"
	print "|---|---|---|---|---|---|"
	for (i = 1; i <= n_keys; i++)
		row(keys[i])
	printf "%d rows: %d reached, %d skipped\n", n_keys, n_reached, n_skipped
}
