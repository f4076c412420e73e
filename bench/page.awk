# page.awk -v charts=DIR CONTEXT TITLES ROWS - the report as HTML that needs no other file.
#   CONTEXT  lines NAME <tab> VALUE: the machine, the versions
#   TITLES   lines PROGRAM <tab> what it measures
#   ROWS     rows.awk's lines
#   charts   PROGRAM-UNIT.svg and scaling.svg, where there are any

function text(s) {
	gsub(/&/, "\\&amp;", s)
	gsub(/</, "\\&lt;", s)
	gsub(/>/, "\\&gt;", s)
	return s
}

function figure(x) {
	return sprintf(x < 0.1 ? "%.3f" : x < 100 ? "%.2f" : "%.0f", x)
}

# The ids of one picture are not those of another.
function picture(name, file, line) {
	file = charts "/" name ".svg"
	while ((getline line < file) > 0) {
		gsub(/<\?xml[^>]*>/, "", line)
		gsub(/(gpDot|gpPt|textbox|greybox)/, name "-&", line)
		gsub(/gnuplot_canvas/, name "-canvas", line)
		print line
	}
	close(file)
}

function add_row(program, row, kind) {
	if (!(program in rows_of)) {
		programs[++n_programs] = program
		rows_of[program] = ""
	}
	if (!((program, row) in kinds_of))
		rows_of[program] = rows_of[program] row "\n"
	kinds_of[program, row] = kinds_of[program, row] kind "\n"
	if (index(units_of[program] "\n", $7 "\n") == 0)
		units_of[program] = units_of[program] $7 "\n"
	count[row, kind] = $8
	median[row, kind] = $9
	least[row, kind] = $10
	most[row, kind] = $11
	unit[row] = $7
	if (!(($12) in shown)) {
		shown[$12] = 1
		commands[program] = commands[program] text($12) "\n"
	}
}

function add_scaling(row, kind, threads) {
	if (threads > 2)
		scales[row] = 1
	if (!(row in kinds_scaled))
		scaled[++n_scaled] = row
	if (!((row, kind) in of_all))
		kinds_scaled[row] = kinds_scaled[row] kind "\n"
	of_all[row, kind] = 1
	rate[row, kind, threads] = 1000 / $9
}

function spread(row, kind) {
	if (!count[row, kind])
		return "<td colspan=\"2\">skipped: " text(median[row, kind]) "</td>"
	return "<td class=\"n\">" figure(median[row, kind]) "</td><td class=\"s\">" figure(least[row, kind]) " to " \
		figure(most[row, kind]) "</td>"
}

function cell_row(row, kind, first, ours) {
	print "<tr" (first ? " class=\"first\"" : "") "><td>" (first ? text(row) : "") "</td><td>" \
		(kind == "ouro" ? "<b>ouro</b>" : text(kind)) "</td>" spread(row, kind)
	ours = kind != "ouro" && count[row, kind] && count[row, "ouro"] && median[row, kind] > 0
	print "<td class=\"n\">" (ours ? sprintf("%.2f", median[row, "ouro"] / median[row, kind]) : "") "</td></tr>"
}

function table_row(program, row, list, n, i, first) {
	n = split(kinds_of[program, row], list, "\n") - 1
	first = 1
	if ((row, "ouro") in count) {
		cell_row(row, "ouro", first)
		first = 0
	}
	for (i = 1; i <= n; i++)
		if (list[i] != "ouro") {
			cell_row(row, list[i], first)
			first = 0
		}
}

function table(program, one, list, n, i) {
	print "<table><tr><th>row</th><th>implementation</th><th>median, " text(one) "</th><th>least to greatest</th>"
	print "<th>ours / this</th></tr>"
	n = split(rows_of[program], list, "\n") - 1
	for (i = 1; i <= n; i++)
		if (unit[list[i]] == one)
			table_row(program, list[i])
	print "</table>"
}

function section(program, list, n, i) {
	printf "<h2 id=\"%s\">%s</h2>\n", program, text(title[program] == "" ? program : program ": " title[program])
	n = split(units_of[program], list, "\n") - 1
	for (i = 1; i <= n; i++) {
		picture(program "-" i)
		table(program, list[i])
	}
	printf "<details><summary>commands</summary><pre>%s</pre></details>\n", commands[program]
}

function scaling_row(row, kind, threads) {
	printf "<tr><td>%s</td><td>%s</td>", text(row), text(kind)
	for (threads = 1; threads <= 8; threads *= 2)
		printf "<td class=\"n\">%s</td>", (row, kind, threads) in rate ? figure(rate[row, kind, threads]) : ""
	printf "<td class=\"n\">%s</td></tr>\n", (row, kind, 8) in rate && (row, kind, 2) in rate ? \
		sprintf("%.2f", rate[row, kind, 8] / rate[row, kind, 2]) : ""
}

function scaling(i, k, n, list, any) {
	for (i in scales)
		any = 1
	if (!any)
		return
	print "<h2 id=\"scaling\">Threads</h2>"
	print "<p>Operations of all threads together by wall time, millions a second.</p>"
	picture("scaling")
	print "<table><tr><th>row</th><th>implementation</th><th>1 thread</th><th>2</th><th>4</th><th>8</th><th>8 / 2</th></tr>"
	for (i = 1; i <= n_scaled; i++) {
		n = scaled[i] in scales ? split(kinds_scaled[scaled[i]], list, "\n") - 1 : 0
		for (k = 1; k <= n; k++)
			scaling_row(scaled[i], list[k])
	}
	print "</table>"
}

function head() {
	print "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><title>ouro beside its peers</title><style>"
	print "body { font: 15px/1.4 sans-serif; max-width: 78em; margin: 2em auto; padding: 0 1em; color: #202020 }"
	print "table { border-collapse: collapse; margin: 1em 0 } td, th { padding: 0.1em 0.8em; text-align: left }"
	print "th { border-bottom: 1px solid #404040 } tr.first td { border-top: 1px solid #dcdcdc }"
	print "td.n { text-align: right; font-variant-numeric: tabular-nums } td.s { color: #606060; white-space: nowrap }"
	print "svg { max-width: 100%; height: auto } pre { overflow-x: auto; background: #f4f4f4; padding: 0.6em }"
	print "</style></head><body><h1>ouro beside its peers</h1>"
	print "<p>Medians; ours divided by the peer's, below 1: ours is less, which for a rate is worse. Times are those of one operation; cpu is that of all"
	print "threads, wall what passes until it is done, of which several threads do several. bench/README.md says what is"
	print "measured in each row, and what is not the same work. Bars in the pictures are from the least to the greatest.</p>"
}

BEGIN { FS = "\t" }
FILENAME ~ /context$/ { about = about "<tr><td>" text($1) "</td><td>" text($2) "</td></tr>\n"; next }
FILENAME ~ /titles$/ { title[$1] = $2; next }
$6 == "elapsed" { if ($8) add_scaling($3, $4, $5); next }
{ add_row($1, $2, $4) }

END {
	head()
	printf "<table>%s</table>\n", about
	for (i = 1; i <= n_programs; i++)
		section(programs[i])
	scaling()
	print "</body></html>"
}
