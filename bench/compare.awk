# compare.awk OLD NEW - rows.awk's lines of two revisions: for each row both medians, their least and greatest, new / old,
# and the probability that repetitions which differ by nothing but noise would lie as far apart as these do: the
# Mann-Whitney U test, exact, as in Google Benchmark's compare.py. Below 0.01 the row is said to have changed. Of a
# hundred rows that did not, one is expected to say so; a second run tells.

# of_ways(n, m, u) - in how many orders of n old and m new figures U is u
function of_ways(n, m, u, key) {
	if (u < 0 || u > n * m)
		return 0
	if (n == 0 || m == 0)
		return u == 0
	key = n SUBSEP m SUBSEP u
	if (!(key in ways))
		ways[key] = of_ways(n - 1, m, u - m) + of_ways(n, m - 1, u)
	return ways[key]
}

function exact(n, m, u, i, few, all) {
	for (i = 0; i <= n * m; i++) {
		all += of_ways(n, m, i)
		if (i <= u)
			few += of_ways(n, m, i)
	}
	return few / all
}

# The upper end of the normal distribution, from Abramowitz and Stegun 26.2.17: good to 1e-7.
function beyond(z, t) {
	t = 1 / (1 + 0.2316419 * z)
	return exp(-z * z / 2) / 2.506628274631 * \
		t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
}

# Exact where that is quick. Equal figures count half, rounded to the side of no difference.
function probability(old, new, x, y, n, m, i, j, u) {
	n = split(old, x, " ")
	m = split(new, y, " ")
	for (i = 1; i <= n; i++)
		for (j = 1; j <= m; j++)
			u += x[i] + 0 < y[j] + 0 ? 1 : x[i] + 0 == y[j] + 0 ? 0.5 : 0
	if (u > n * m / 2)
		u = n * m - u
	u = int(u + 0.5)
	i = 2 * (n * m <= 400 ? exact(n, m, u) : beyond((n * m / 2 - u - 0.5) / sqrt(n * m * (n + m + 1) / 12)))
	return i > 1 ? 1 : i
}

function spread(median, least, most) {
	return sprintf("%9.2f %7.2f %7.2f", median, least, most)
}

function verdict(p, ratio, one) {
	if (p >= 0.01)
		return ""
	return (ratio < 1) == (one !~ /\/s$/) ? "better" : "worse"
}

BEGIN { FS = "\t" }
$6 == "elapsed" { next }
{ key = $2 (($4 == "ouro") ? "" : " / " $4) }
FNR == 1 { file++ }
file == 1 { old[key] = $0; olds[++n_olds] = key; next }
{ new[key] = $0; news[++n_news] = key }

function compare(key, a, b, p, ratio, word) {
	split(old[key], a, FS)
	split(new[key], b, FS)
	if (!a[8] || !b[8] || a[9] <= 0)
		return
	ratio = b[9] / a[9]
	p = probability(a[13], b[13])
	word = verdict(p, ratio, b[7])
	n_rows++
	n_words[word]++
	printf "%-46s %s  %s  %5.2f %6.3f %s\n", key, spread(a[9], a[10], a[11]), spread(b[9], b[10], b[11]), ratio, p, word
}

END {
	printf "\n%-46s %9s %7s %7s  %9s %7s %7s  %5s %6s\n", "median, least, greatest: ns", base, "", "", "work tree", "", "",
		"ratio", "p"
	for (i = 1; i <= n_news; i++)
		if (news[i] in old)
			compare(news[i])
	for (i = 1; i <= n_news; i++)
		if (!(news[i] in old))
			printf "%-46s only in the work tree\n", news[i]
	for (i = 1; i <= n_olds; i++)
		if (!(olds[i] in new))
			printf "%-46s only in %s\n", olds[i], base
	printf "%d rows: %d better, %d worse, %d not to be told from noise\n", n_rows, n_words["better"], n_words["worse"],
		n_words[""]
}
