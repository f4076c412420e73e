#!/bin/sh
# page.sh JSON HTML - what merge.awk wrote as a page: pictures, tables, the machine, the command of every row.
set -u
json=${1:?usage: page.sh JSON HTML}
html=${2:?usage: page.sh JSON HTML}
here=$(dirname "$0")
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

# The lines that machine.sh and peers.sh gave merge.awk.
context() {
	awk '/^  "benchmarks"/ { exit }
		/^    "/ && !/"executable"/ {
			gsub(/^    "|",?$/, "")
			sub(/": "/, "\t")
			gsub(/\\"/, "\"")
			gsub(/\\\\/, "\\")
			print
		}' "$json"
}

# A source says in its first line what it measures.
titles() {
	for source in "$here"/*.cc "$here"/*.c; do
		name=$(basename "$source" | sed 's/\.c*$//')
		sed -n "2s/^ \* $name\.c* - /$name	/p" "$source" | sed 's/,$//'
	done
	printf 'depserver\tthe example server: %s\n' \
		'requests a second (more is better) and CPU time of one, also while it reloads; beside it the same on plain malloc'
}

pictures() {
	if ! command -v gnuplot >/dev/null; then
		echo 'skipped: no pictures, gnuplot is not installed (package gnuplot-nox)'
		return
	fi
	cut -f 1,7 "$tmp/rows" | awk '!seen[$0]++' | awk -F '\t' '{ print $1 "\t" ++n[$1] "\t" $2 }' >"$tmp/units"
	while IFS="$(printf '\t')" read -r program n unit; do
		"$here/chart.sh" "$tmp/rows" "$program" "$unit" "$tmp/$program-$n.svg" || return 1
	done <"$tmp/units"
	"$here/chart.sh" "$tmp/rows" scaling '' "$tmp/scaling.svg"
}

awk -f "$here/rows.awk" "$json" >"$tmp/rows" && context >"$tmp/context" && titles >"$tmp/titles" && pictures || exit 1
awk -v charts="$tmp" -f "$here/page.awk" "$tmp/context" "$tmp/titles" "$tmp/rows" >"$html" || exit 1
printf 'written: %s\n' "$html"
