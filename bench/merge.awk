# merge.awk FILE... - the output of several programs as one, in the JSON of Google Benchmark, which its tools read too.
#   *.context  lines NAME <tab> VALUE: what is to be said about the machine
#   *.list     a program's rows in their order (--benchmark_list_tests); repetitions that were mixed come back into it
#   *.json     Google Benchmark's output, lines.awk's, or what this wrote; of rows that are there twice, all repetitions
#
# Only single repetitions are kept: whoever reads them takes the median. Each says which program it came from and which
# command measures it again: -v environment="NAME=VALUE..." -v options="--benchmark_..." go into that.

function value(line) {
	sub(/^[^:]*: */, "", line)
	gsub(/^"|",?$|,$/, "", line)
	return line
}

function quoted(text) {
	gsub(/\\/, "\\\\", text)
	gsub(/"/, "\\\"", text)
	return "\"" text "\""
}

function place(name) {
	if (!(name in at)) {
		at[name] = ++n_names
		names[n_names] = name
	}
}

# jemalloc wants more thread-local memory than a library loaded later is given unasked (peer_malloc.h).
function command_of(name) {
	return environment (environment == "" ? "" : " ") \
		(name ~ /\/jemalloc/ ? "GLIBC_TUNABLES=glibc.rtld.optional_static_tls=8192 " : "") \
		executable " --benchmark_filter='^" name "$'" (options == "" ? "" : " ") options
}

function add_entry() {
	if (aggregate || (error && name in skipped))
		return
	if (error)
		skipped[name] = 1
	if (entry !~ /"command":/)
		entry = entry ",\n      \"group\": " quoted(group) ",\n      \"command\": " quoted(command_of(name))
	place(name)
	entries[name] = entries[name] (entries[name] == "" ? "" : ",\n") "    {\n" entry "\n    }"
}

FILENAME ~ /\.context$/ {
	tab = index($0, "\t")
	context = context "    " quoted(substr($0, 1, tab - 1)) ": " quoted(substr($0, tab + 1)) ",\n"
	next
}
FILENAME ~ /\.list$/ { place($0); next }
/^    "executable":/ {
	executable = value($0)
	group = executable
	sub(/.*\//, "", group)
}
/^    \{/ { inside = 1; entry = ""; name = ""; aggregate = error = 0; next }
/^    \}/ { if (inside) add_entry(); inside = 0; next }
inside {
	if (/"run_name":/)
		name = value($0)
	if (/"run_type": "aggregate"/)
		aggregate = 1
	if (/"error_occurred": true/)
		error = 1
	sub(/,$/, "")
	entry = entry (entry == "" ? "" : ",\n") $0
}

END {
	printf "{\n  \"context\": {\n%s    \"executable\": \"several\"\n  },\n  \"benchmarks\": [", context
	for (i = 1; i <= n_names; i++)
		if (entries[names[i]] != "")
			printf "%s\n%s", n_written++ ? "," : "", entries[names[i]]
	printf "\n  ]\n}\n"
}
