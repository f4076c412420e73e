#!/bin/sh
# Goal: every public function and macro, and what C++ has beside them, has a manual page, which says
# what the header says of it; from ouro(7) one gets to each.
# Method: make the pages from the headers; compare their names with the declarations; look for the
# sections; follow the references; have groff and mandoc, where they are, complain.
# A failure would mean: `man ouro_x` finds nothing, or half of the contract.
. tests/common.sh

have perl || {
	echo 'skipped: no perl'
	exit 0
}
case $build in
*release*) ;;
*) echo 'man: the same in each build'; exit 0 ;;
esac

pages() { # pages DIRECTORY: made in it
	perl lib/package/man.pl "$1" 1.2.3 || fail 'man.pl'
}

grep -ho '^OURO_API[^;]*' include/ouro/*.h |
	sed -n 's/^[^(]*[ *]\(ouro_[a-z_]*\)(.*/\1/p' >"$tmp/names"
sed -n 's/^#define \(ouro_[a-z_]*\)(.*/\1/p' include/ouro/*.h >>"$tmp/names"
sort -u "$tmp/names" >"$tmp/declared"
[ "$(wc -l <"$tmp/declared")" -ge 60 ] || fail 'few declarations are found'
pages "$tmp/man"
find "$tmp/man/man3" -name '*.3' ! -name '*::*' | sed 's|.*/||; s|\.3$||' | sort >"$tmp/written"
difference=$(diff "$tmp/declared" "$tmp/written") || fail "declared, and with a page: $difference"
for h in include/ouro/*.h; do
	name=$(basename "$h" .h)
	[ -s "$tmp/man/man7/ouro_$name.7" ] || fail "no page for $h"
	grep -q "ouro_$name (7)" "$tmp/man/man7/ouro.7" || fail "ouro(7) does not name ouro_$name"
done

# In the headers of C++, what is in no namespace detail: classes, functions, macros.
for h in include/ouro.hpp include/ouro/*.hpp; do
	awk '/^namespace (ouro::)?detail/ { hidden = 1 } /^.*---- how the macros/ { exit } !hidden
		/^}.*namespace .*detail/ { hidden = 0 }' "$h"
done >"$tmp/plain"
{
	sed -n 's/^\(template <.*> \)\{0,1\}class \([a-z_]*\) .*{$/\2/p' "$tmp/plain"
	grep -E '^(template|inline|\[\[)' "$tmp/plain" |
		grep -vE '(struct|class) [a-z:]*[^(]*[{;]$' |
		sed 's/operator[^ ]*(.*//; s/(.*//; s/.*[ *&]//' | grep -E '^[a-z_]+$'
} | sort -u >"$tmp/declared_cxx"
[ "$(wc -l <"$tmp/declared_cxx")" -ge 18 ] || fail 'few declarations of C++ are found'
find "$tmp/man/man3" -name 'ouro::*.3' | sed 's|.*/ouro::||; s|\.3$||' | sort >"$tmp/written_cxx"
difference=$(diff "$tmp/declared_cxx" "$tmp/written_cxx") ||
	fail "declared in C++, and with a page: $difference"
for m in $(sed -n 's/^#define \(OURO_[A-Z_]*[A-Z]\)(.*/\1/p' "$tmp/plain"); do
	[ -s "$tmp/man/man7/$m.7" ] || fail "no page for $m"
done

# From ouro(7) references lead to all.
cat >"$tmp/follow.pl" <<'END'
chdir shift;
my @todo = ('man7/ouro.7');
my %seen = ($todo[0] => 1);
while (my $page = shift @todo) {
	open my $in, '<', $page or die "there is no $page\n";
	for (map { /^\.BR (\S+) \((\d)\)/ ? "man$2/$1.$2" =~ s/\\-/-/gr : () } <$in>) {
		push @todo, $_ unless $seen{$_}++ || /pkg-config/;
	}
}
my @lost = grep { !-l && !$seen{$_} } glob 'man*/*';
die "nothing leads to @lost\n" if @lost;
END
perl "$tmp/follow.pl" "$tmp/man" || fail 'references'

says() { # says PAGE TEXT
	grep -qF -e "$2" "$tmp/man/$1" || fail "$1 does not say: $2"
}
while read -r name; do
	for section in NAME SYNOPSIS DESCRIPTION 'SEE ALSO'; do
		says "man3/$name.3" ".SH $section"
	done
	awk '/^.SH SYNOPSIS/ { on = 1 } /^.SH DESCRIPTION/ { on = 0 } on' "$tmp/man/man3/$name.3" |
		grep -q "$name(" || fail "$name.3 does not show how $name is called"
done <"$tmp/declared"
says man3/ouro_new_items.3 'EOVERFLOW'
says man3/ouro_watch.3 '.I id'
says man3/ouro_gc_collect.3 '.SH WHAT IT MAY WAIT FOR'
says man3/ouro_release.3 '.SH CODE OF THE PROGRAM IT MAY RUN'
says man7/ouro_thread.7 'uint64_t pause_budget_ns;'
says man3/ouro_set.3 'steals the reference to obj'
says man3/ouro::slot.3 '[[nodiscard]] ref<T> load() const;'
says man3/ouro::slot.3 'ouro_exchange: the slot takes over @r'
says man3/ouro::make.3 '.SH EXCEPTIONS'
says man3/ouro::make.3 'template <class T, class... A> [[nodiscard]] ref<T> make(A &&...a);'
says man3/ouro::tracer.3 'operator()(M &member);'
says man3/ouro::items.3 'item_range<item_of<T>> items(T *obj) noexcept;'
says man7/ouro_describe_hpp.7 'OURO_TYPE_OF'
says man7/ouro_contain_hpp.7 'std::chrono::nanoseconds ttl'
says man7/ouro_contain_hpp.7 'for_ever{ INT64_MAX };'
says man3/ouro::map.3 'ref<V> get_or_create(number key, F f);'
says man3/ouro::key_map.3 'bool put_if_absent(K *key, const ref<V> &v);'
! grep -qE '\<p_|detail::|__atomic|private:' "$tmp/man/man3"/ouro::*.3 ||
	fail 'a page of C++ shows its inside'

if have groff; then
	(cd "$tmp/man" && groff -man -Tutf8 -ww -z man?/*) >"$tmp/log" 2>&1 || fail 'groff'
	[ ! -s "$tmp/log" ] || { cat "$tmp/log"; fail 'groff warns'; }
else
	echo 'skipped: no groff'
fi
if have mandoc; then
	(cd "$tmp/man" && mandoc -Tlint -Wwarning man?/*) >"$tmp/log" 2>&1 || {
		cat "$tmp/log"
		fail 'mandoc warns'
	}
else
	echo 'skipped: no mandoc'
fi
# The same headers make the same bytes.
pages "$tmp/again"
diff -r "$tmp/man" "$tmp/again" >/dev/null || fail 'the pages differ from run to run'
echo 'man: ok'
