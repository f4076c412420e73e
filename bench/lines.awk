# lines.awk -v group=NAME -v command=COMMAND - lines of a program that is not one of Google Benchmark's, in its JSON for
# merge.awk: NAME <tab> REAL TIME <tab> CPU TIME <tab> UNIT, a line for each repetition. What is not a time stands in both.
BEGIN {
	FS = "\t"
	gsub(/\\/, "\\\\", command)
	gsub(/"/, "\\\"", command)
	print "{\n  \"context\": {\n    \"executable\": \"" group "\"\n  },\n  \"benchmarks\": ["
}

function field(name, value) {
	printf "      \"%s\": %s,\n", name, value
}

NF == 4 {
	threads = $1 ~ /threads:[0-9]+$/ ? $1 : 1
	sub(/.*threads:/, "", threads)
	printf "%s    {\n", n++ ? ",\n" : ""
	field("name", "\"" $1 "\"")
	field("run_name", "\"" $1 "\"")
	field("run_type", "\"iteration\"")
	field("repetition_index", seen[$1]++)
	field("threads", threads)
	field("iterations", 1)
	field("real_time", $2)
	field("cpu_time", $3)
	field("time_unit", "\"" $4 "\"")
	field("group", "\"" group "\"")
	printf "      \"command\": \"%s\"\n    }", command
}
END { print "\n  ]\n}" }
