#!/bin/sh
# soak.sh PROGRAM THREADS SECONDS SEED OUT - runs soak; OUT.csv has a line for each second, OUT.svg
# is drawn from it, where gnuplot is. FORMAT=png to look at it where nothing shows the former.
set -u
program=$1
threads=$2
seconds=$3
seed=$4
out=$5
mkdir -p "$(dirname "$out")"

case ${FORMAT:-svg} in
svg) terminal="svg noenhanced background '#ffffff' font 'sans-serif,13' size 1000,900" ;;
*) terminal='pngcairo noenhanced font "sans,10" size 1000,900' ;;
esac

draw() {
	gnuplot <<-END_OF_PLOT
	set terminal $terminal
	set output "$out.${FORMAT:-svg}"
	set datafile separator ","
	set key autotitle columnheader outside right samplen 2
	set border 3 lw 1 lc rgb "#404040"
	set tics nomirror out
	set grid lt 1 lc rgb "#dcdcdc" lw 1
	set lmargin 12
	set rmargin 24
	set yrange [0:]
	set multiplot layout 3,1 title "soak: $threads threads, $seconds s, seed $seed"
	set ylabel "MB"
	plot "$out.csv" using 1:3 with lines lw 1.5 lc rgb "#e08000", \
		"" using 1:4 with lines lw 1.5 lc rgb "#0060c0", \
		"" using 1:5 with lines lw 1.5 lc rgb "#009060"
	set ylabel "objects"
	plot "$out.csv" using 1:6 with lines lw 1.5 lc rgb "#0060c0"
	set ylabel "us, since the start"
	set xlabel "seconds"
	set logscale y
	set yrange [*:*]
	plot "$out.csv" using 1:17 with lines lw 1.5 lc rgb "#009060", \
		"" using 1:18 with lines lw 1.5 lc rgb "#0060c0", \
		"" using 1:19 with lines lw 1.5 lc rgb "#d04040"
	unset multiplot
	END_OF_PLOT
}

"$program" "$threads" "$seconds" "$seed" "$out.csv"
status=$?
if ! command -v gnuplot >/dev/null; then
	echo 'skipped: no picture without gnuplot'
elif draw; then
	echo "figures: $out.csv, picture: $out.${FORMAT:-svg}"
else
	echo 'skipped: gnuplot draws no picture'
fi
exit $status
