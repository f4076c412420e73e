# places.pl - mutants, models and their table in lib/README.md name files that are there, and what
# is in them.
#
# - tests/mutants/*.mut: the file and the suites exist, and the text to be replaced stands in the
#   file just once.
# - tests/models/*.pml: "lib/x.c (f, g)" in the head comment: the file exists, and says f and g.
# - The table of models names each model, and files of lib/.
use strict;
use warnings;
use Place; # before Lint, which goes to the tree
use Lint;

noted($_) for 'mutants without their place', 'models without their place';
my %suite = map { module_of($_) => 1 } sources('tests stress', qr/\/(test|stress)_\w+\.c\z/);
for my $file (sources('tests/mutants', qr/\.mut\z/)) {
	my $text = text($file);
	while ($text =~ /^=== ([a-z0-9-]+): [^\n]*\n(\S+)\nkill: ([^\n]*)\n(.*?)^---\n/msg) {
		my ($name, $place, $kill, $old, $line) = ($1, $2, $3, $4, line_of($text, $-[1]));
		my $say = sub { noted('mutants without their place', $file, $line, "$name: @_") };
		$suite{s{^release/}{}r} or $say->("no such suite: $_") for split ' ', $kill;
		if (!-e $place) {
			$say->("no such file: $place");
		} else {
			my $there = place_of($old);
			my $n = () = text($place) =~ /$there/g;
			$say->("its text stands $n times in $place") if $n != 1;
		}
	}
}

for my $file (sources('tests/models', qr/\.pml\z/)) {
	my ($head) = text($file) =~ m{\A(/\*.*?\*/)}s or next;
	while ($head =~ m{\b(lib/[\w/]+\.[ch])(?:\s+(?:\*\s+)?\(([^()]*)\))?}g) {
		my ($place, $names, $line) = ($1, $2 // '', line_of($head, $-[1]));
		if (!-e $place) {
			noted('models without their place', $file, $line, "no such file: $place");
			next;
		}
		for (grep { /_/ } $names =~ /\w+/g) {
			noted('models without their place', $file, $line, "$place has no $_")
				unless text($place) =~ /\b\Q$_\E\b/;
		}
	}
}

my %model = map { $_ => 1 } map { s{.*/}{}r } sources('tests/models', qr/\.pml\z/);
my @lib = sources('lib', qr/\.[ch]\z/);
for (table('lib/README.md', '| `tests/models/` | protocol | files |')) {
	my ($name) = $_->[0] =~ /`([\w.]+)`/ or next;
	noted('models without their place', 'lib/README.md', 1, "no such model: $name")
		unless delete $model{$name};
	for my $place ($_->[2] =~ /`([\w.\/]+)`/g) {
		noted('models without their place', 'lib/README.md', 1, "$name: no such file: $place")
			unless grep { m{/\Q$place\E\z} } @lib;
	}
}
noted('models without their place', "tests/models/$_", 1, 'not in the table of lib/README.md')
	for sort keys %model;
verdict();
