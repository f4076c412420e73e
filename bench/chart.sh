#!/bin/sh
# chart.sh ROWS PROGRAM UNIT FILE - draws one program's rows (rows.awk's lines): a line for each row, in it a mark for the
# median of each implementation, and a bar from the least to the greatest.
# chart.sh ROWS scaling '' FILE - draws the throughput of all threads together, over their number, a panel for each row.
#   FORMAT  svg, or png to look at it where nothing shows the former
set -u
usage='usage: chart.sh ROWS PROGRAM UNIT FILE'
rows=${1:?$usage}
program=${2:?$usage}
unit=${3?$usage}
file=${4:?$usage}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

name=$(printf %s "$program$unit" | tr -c '[:alnum:]' _)
case ${FORMAT:-svg} in
svg) terminal="svg noenhanced name '$name' background '#ffffff' font 'sans-serif,13'" ;;
png) terminal="pngcairo noenhanced font 'sans,10'" ;;
*) echo "chart.sh: no format $FORMAT" >&2 && exit 2 ;;
esac

style() { # style KIND: the same colour in every chart
	case $1 in
	ouro) echo 'pt 7 ps 1.1 lw 2.5 lc rgb "#0060c0"' ;;
	make_shared | shared_ptr* | weak_ptr) echo 'pt 5 ps 0.8 lw 1.5 lc rgb "#e08000"' ;;
	boehm) echo 'pt 9 ps 0.9 lw 1.5 lc rgb "#009060"' ;;
	boehm*) echo 'pt 8 ps 0.9 lw 1.5 lc rgb "#009060"' ;;
	malloc*) echo 'pt 13 ps 0.9 lw 1.5 lc rgb "#707070"' ;;
	mimalloc*) echo 'pt 11 ps 0.9 lw 1.5 lc rgb "#a030a0"' ;;
	jemalloc*) echo 'pt 10 ps 0.9 lw 1.5 lc rgb "#d04040"' ;;
	g_slice) echo 'pt 4 ps 0.9 lw 1.5 lc rgb "#806030"' ;;
	GObject | GWeakRef) echo 'pt 15 ps 0.9 lw 1.5 lc rgb "#806030"' ;;
	CPython) echo 'pt 5 ps 0.8 lw 1.5 lc rgb "#c8b000"' ;;
	nim*) echo 'pt 12 ps 0.9 lw 1.5 lc rgb "#303030"' ;;
	PHP) echo 'pt 14 ps 0.9 lw 1.5 lc rgb "#7078c0"' ;;
	*) echo 'pt 6 ps 0.9 lw 1.5 lc rgb "#909090"' ;;
	esac
}

# A file for each implementation, and one with their names; rows count from the top.
marks() {
	awk -F '\t' -v program="$program" -v unit="$unit" -v dir="$tmp" '
		$1 != program || $7 != unit || $6 == "elapsed" || !$8 { next }
		!($2 in at) { at[$2] = ++n; print n, "\"" $2 "\"" > (dir "/labels") }
		!($4 in kinds) { kinds[$4] = ++k; print k "\t" $4 > (dir "/kinds") }
		{ print $9, at[$2], $10, $11 > (dir "/kind-" kinds[$4]) }' "$rows"
}

frame() { # frame WIDTH HEIGHT
	cat <<-END
	set terminal $terminal size $1,$2
	set output "$file"
	set border 3 lw 1 lc rgb "#404040"
	set tics nomirror out
	set grid lt 1 lc rgb "#dcdcdc" lw 1
	END
}

bars() {
	n=$(wc -l <"$tmp/labels")
	height=$((110 + 24 * n))
	keys=$((40 + 20 * $(wc -l <"$tmp/kinds")))
	frame 1000 $((height > keys ? height : keys))
	case $unit in
	ns)
		echo 'set logscale x; set xlabel "ns for one operation"'
		awk '{ if (NR == 1 || $3 < low) low = $3; if ($4 > high) high = $4 }
			END {
				printf("set xrange [%g:%g]\nset xtics (1", low / 1.4, high * 1.4)
				n = split(high / low < 30 ? "1 1.5 2 3 4 5 7" : high / low < 1000 ? "1 2 5" : "1", step, " ")
				for (x = 0.01; x < 1e9; x *= 10)
					for (i = 1; i <= n; i++)
						printf(", \"%g\" %g", x * step[i], x * step[i])
				print ")"
			}' "$tmp"/kind-* ;;
	*) printf 'set xrange [0:*]\nset xlabel "%s"\n' "$unit" ;;
	esac
	printf 'set yrange [%d.6:0.4]\nset key outside right top Left reverse\nset ytics (' "$n"
	awk '{ printf("%s%s %d", NR == 1 ? "" : ", ", substr($0, length($1) + 2), $1) }' "$tmp/labels"
	printf ')\nplot '
	while IFS="$(printf '\t')" read -r k kind; do
		printf "'%s/kind-%s' with xerrorbars %s title '%s', " "$tmp" "$k" "$(style "$kind")" "$kind"
	done <"$tmp/kinds"
	printf 'NaN notitle\n'
}

# Only rows that were measured with more than two threads have anything to show.
curves() {
	awk -F '\t' -v dir="$tmp" '
		$6 == "elapsed" && $8 { line[++n] = $0; if ($5 > 2) shown[$3] = 1 }
		END {
			for (i = 1; i <= n; i++) {
				split(line[i], f, FS)
				if (!(f[3] in shown))
					continue
				if (!(f[3] in at)) { at[f[3]] = ++panels; print panels "\t" f[3] > (dir "/panels") }
				if (!((f[3], f[4]) in kinds)) {
					kinds[f[3], f[4]] = ++k
					print k "\t" f[4] > (dir "/panel-" at[f[3]])
				}
				print f[5], 1000 / f[9], 1000 / f[11], 1000 / f[10] > (dir "/curve-" kinds[f[3], f[4]])
			}
		}' "$rows"
}

panels() {
	n=$(wc -l <"$tmp/panels")
	lines=$(((n + 2) / 3))
	frame 1200 $((340 * lines))
	printf 'set multiplot layout %d,3\nset logscale x 2\nset xrange [0.9:9]\nset xtics (1, 2, 4, 8)\nset yrange [0:*]\n' $lines
	printf 'set ylabel "million operations a second"\nset key bmargin center horizontal maxcols 3\n'
	while IFS="$(printf '\t')" read -r p row; do
		printf 'set title "%s, by threads"\nplot ' "$row"
		while IFS="$(printf '\t')" read -r k kind; do
			printf "'%s/curve-%s' with yerrorlines %s title '%s', " "$tmp" "$k" "$(style "$kind")" "$kind"
		done <"$tmp/panel-$p"
		printf 'NaN notitle\n'
	done <"$tmp/panels"
}

if [ "$program" = scaling ]; then
	curves && [ -s "$tmp/panels" ] || exit 0
	panels >"$tmp/plot"
else
	marks && [ -s "$tmp/labels" ] || exit 0
	bars >"$tmp/plot"
fi
gnuplot "$tmp/plot"
