# reloads.sh - what compare.sh and beside.sh do alike, who source it: an index to load, and a RELOAD
# that comes every second. $work is a directory of theirs, $here this one; fail ends the script.
# shellcheck shell=sh

make_index() {
	apt-cache dumpavail >"$work/index" 2>/dev/null || :
	[ -s "$work/index" ] || cp "$here/sample-packages" "$work/index"
}

port_in() { # port_in LOG: of the server that wrote it
	sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$1"
}

# The first at once, then one each second, or as soon as the one before is done.
start_reloads() { # start_reloads PORT
	: >"$work/go"
	while [ -e "$work/go" ]; do
		sleep 1 &
		timeout 300 redis-cli -p "$1" RELOAD >"$work/reload"
		grep -qx OK "$work/reload" || exit 1
		wait $!
	done &
	reloader=$!
}

stop_reloads() {
	rm -f "$work/go"
	wait "$reloader" || fail 'a RELOAD failed'
}
