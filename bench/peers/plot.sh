#!/bin/sh
# plot.sh TSV DIR - draws what pause_tsv.c wrote: DIR/pause.svg, how long stops and operations are, and DIR/memory.svg,
# resident memory over time; a column for each number of live nodes, a curve for each program.
#   FORMAT  svg, or png to look at it where nothing shows the former
#
# A curve of pause.svg goes through all percentiles: the axis below is stretched so that each further nine takes as much
# room as the one before, and the curve ends in a dot, the longest.
set -u
tsv=${1:?usage: plot.sh TSV DIR}
dir=${2:?usage: plot.sh TSV DIR}
format=${FORMAT:-svg}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

awk -F '\t' -v dir="$tmp" '
	function curve(n, us, file) {
		print n / (n - below), us > file # from here
		below += $6
		print below < n ? n / (n - below) : n, us > file # to here
	}
	$3 == "memory" { print $4, $5 > (dir "/memory-" $2 "-" $1) }
	$3 == "figure" { n = $5; below = 0 }
	$3 == "bucket" && $4 == "stops" { curve(n, $5, dir "/stops-" $2 "-" $1) }
	$3 == "bucket" && $4 == "operation" { curve(n, $5, dir "/operation-" $2 "-" $1) }
	$3 == "rate" { printf "%.2f", $4 / 1e6 > (dir "/rate-" $2 "-" $1) }
	!seen[$2]++ { print $2 > (dir "/sizes") }' "$tsv" || exit 1

case $format in
svg) terminal='svg background "#ffffff" font "sans-serif,14"' ;;
png) terminal='pngcairo font "sans,11"' ;;
*) echo "plot.sh: no format $format" >&2 && exit 2 ;;
esac
sizes=$(sort -n "$tmp/sizes")
columns=$(printf '%s\n' "$sizes" | wc -l)

# panel KIND LIVE: the plot command for those programs that have something to show
panel() {
	curves=
	for program in ouro CPython Boehm malloc; do
		[ -s "$tmp/$1-$2-$program" ] || continue
		case $program in
		ouro) style='lw 2.5 lc rgb "#0060c0"' ;;
		CPython) style='lw 2 lc rgb "#e08000"' ;;
		Boehm) style='lw 2 lc rgb "#009060"' ;;
		malloc) style='lw 2 dt 2 lc rgb "#707070"' ;;
		esac
		title=$program
		[ "$1" = operation ] && title="$program, $(cat "$tmp/rate-$2-$program") M/s"
		curves="$curves${curves:+, }'$tmp/$1-$2-$program' with lines $style title '$title'"
		[ "$1" = memory ] && continue
		curves="$curves, '< tail -n 1 $tmp/$1-$2-$program' with points pt 7 ps 0.6 ${style#*dt 2 } notitle"
	done
	if [ "$1" = memory ]; then # nodes of 48 bytes, a pointer of a table for each two
		curves="$curves, $2 * 52.0 / 2**20 with lines dt 3 lw 1.5 lc rgb '#000000' title 'payload'"
	fi
	[ -n "$curves" ] && printf 'plot %s\n' "$curves" || printf 'set multiplot next\n'
}

# The same axes in all panels of a row, so that they can be compared.
common() {
	cat <<-END
	set terminal $terminal size $((480 * columns + 40)),$1
	set border 3 lw 1 lc rgb "#404040"
	set tics nomirror out
	set grid lt 1 lc rgb "#dcdcdc" lw 1
	set lmargin 13
	set rmargin 2
	END
}

grouped() { # grouped NUMBER: 10 000 000
	printf '%s\n' "$1" | sed -e :a -e 's/\([0-9]\)\([0-9]\{3\}\)\($\| \)/\1 \2\3/;ta'
}

percentiles() {
	cat <<-END
	set logscale xy
	set xtics ("0" 1, "90" 10, "99" 100, "99.9" 1e3, "99.99" 1e4, "99.999" 1e5, "99.9999" 1e6, "99.99999" 1e7, \
		"99.999999" 1e8) rotate by 35 right
	set ytics ("10 ns" 0.01, "100 ns" 0.1, "1 µs" 1, "10 µs" 10, "100 µs" 100, "1 ms" 1e3, "10 ms" 1e4, \
		"100 ms" 1e5, "1 s" 1e6, "10 s" 1e7)
	set key bottom right Left reverse opaque box lc rgb "#d8d8d8"
	END
}

pauses() {
	common 1000
	percentiles
	printf 'set output "%s/pause.%s"\nset multiplot layout 2,%d\n' "$dir" "$format" "$columns"
	echo 'set xrange [1:1e4]; set yrange [1:1e7]; set ylabel "length of a stop"'
	echo 'set xlabel "share of all stops that are not longer, %"'
	for live in $sizes; do
		printf 'set title "Stops of all threads, %s live objects"\n' "$(grouped "$live")"
		panel stops "$live"
	done
	echo 'set xrange [1:1e8]; set yrange [0.01:1e7]; set ylabel "length of an operation"'
	echo 'set xlabel "share of all operations that are not longer, %"'
	for live in $sizes; do
		printf 'set title "Operations of a thread, %s live objects"\n' "$(grouped "$live")"
		panel operation "$live"
	done
}

memory() {
	common 500
	last=$(awk -F '\t' '$3 == "rate" && $5 > last { last = $5 } END { print last }' "$tsv")
	cat <<-END
	set output "$dir/memory.$format"
	set multiplot layout 1,$columns
	set xrange [-$last / 4.0:$last * 1.05]
	set yrange [0:*]
	set key tmargin center horizontal
	set xlabel "seconds since measuring began (before: filling)"
	set ylabel "resident memory, MB"
	set arrow from first 0, graph 0 to first 0, graph 1 nohead lc rgb "#a0a0a0" dt 2
	END
	for live in $sizes; do
		printf 'set title "Resident memory, %s live objects"\n' "$(grouped "$live")"
		panel memory "$live"
	done
}

mkdir -p "$dir"
pauses | gnuplot && memory | gnuplot || exit 1
printf 'drawn: %s %s\n' "$dir/pause.$format" "$dir/memory.$format"
