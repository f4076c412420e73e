# common.sh - what the scripts do alike, who source it: an index to load, the port of a server that
# was started, and a RELOAD that comes every second. $work is a directory of theirs, $here this one;
# fail ends the script.
# shellcheck shell=sh

make_index() {
	apt-cache dumpavail >"$work/index" 2>/dev/null || :
	[ -s "$work/index" ] || cp "$here/sample-packages" "$work/index"
}

# Sets port, empty if the server ended before it listened, or does not listen in five minutes.
await_port() { # await_port LOG PID
	tries=3000
	until port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$1") && [ -n "$port" ]; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] && kill -0 "$2" 2>/dev/null || return 1
		sleep 0.1
	done
}

# The first at once, then one each second, or as soon as the one before is done.
start_reloads() { # start_reloads PORT
	: >"$work/go"
	while [ -e "$work/go" ]; do
		sleep 1 &
		timeout 300 redis-cli -p "$1" RELOAD >"$work/reload" 2>&1
		grep -qx OK "$work/reload" || exit 1
		wait $!
	done &
	reloader=$!
}

stop_reloads() {
	rm -f "$work/go"
	wait "$reloader" || fail "RELOAD: $(head -n 1 "$work/reload")"
}
