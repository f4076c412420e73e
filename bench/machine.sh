# machine.sh - sourced: what the figures were measured on

field() { # field NAME VALUE
	printf '%-9s %s\n' "$1" "$2"
}

compiler() { # compiler PROGRAM: what its object files say
	readelf -p .comment "$1" 2>/dev/null | sed -n 's/^ *\[ *[0-9a-f]*\] *//p' | paste -sd ';'
}

machine() { # machine PROGRAM
	field cpu "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | sort -u), $(nproc) cores"
	field memory "$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo) MB"
	field system "$(uname -sr), $(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release 2>/dev/null)"
	field compiler "$(compiler "$1")"
	field load "$(cut -d ' ' -f 1-3 /proc/loadavg)"
}
