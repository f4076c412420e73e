#!/bin/sh
# tally.sh FILE - adds up what run.sh left of several builds: the closing line of the whole run.
awk '{ p += $1; f += $2 } END { printf "%d passed, %d failed\n", p, f; exit f != 0 }' "$1"
