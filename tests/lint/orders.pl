# orders.pl - atomic operations say what they pair with.
#
# - A tag, [G1], stands in the table of tags in lib/README.md, in one row; it has two sites at
#   least: comments beside code, not those that explain it at a file's head or before a function.
# - A row names the files that have sites of its tags, and no others; FIX=1 writes that column
#   anew.
# - An atomic operation bears a tag, or begins its comment with a reason why it needs none, on its
#   line or in the comment above:
#	owner      this thread alone writes it
#	count      any value will do: it is a count, or only compared with what cannot change meanwhile
#	recheck    what is found is looked at again by an operation that has an order
#	stopped    nobody else runs, or can reach it
#	elsewhere  another operation, which is named, has the order
use strict;
use warnings;
use Lint;

my $order = qr/relaxed|acquire|release|acq_rel|seq_cst/;
my $atomic = qr/\b(?:oi_(?:load|store|exchange|add|sub|or|and)_(?:$order)|oi_exchange|oi_cas|__atomic_\w+)\s*\(/;
my $tag = qr/\[([A-Z]\d+)\]/;
my $reason = qr/(?:\/\*|[.;:,]|\])\s*(?:owner|count|recheck|stopped|elsewhere)\b/;

my (%row_of, @rows, %sites, %mentions);
for my $cells (table('lib/README.md', '| | orders | sites |')) {
	my $row = { tags => [$cells->[0] =~ /\b([A-Z]\d+)\b/g], files => [$cells->[2] =~ /`([\w.\/]+)`/g] };
	push @rows, $row;
	push @{$row_of{$_}}, $row for @{$row->{tags}};
}

my ($unknown, $alone) = ('tags not in the table', 'tags with one end');
my $rows = 'rows that do not name the files of their sites';
my $untagged = 'atomics without a tag or a reason';
noted($_) for $unknown, $alone, $rows, $untagged;
for my $file (sources('lib', qr/\.[ch]\z/)) {
	my @code = split /\n/, code($file), -1;
	my @comments = split /\n/, comments($file), -1;
	my $said = ''; # by the comment that ends above
	for my $i (0 .. $#code) {
		my ($code, $comment) = ($code[$i], $comments[$i]);
		while ($comment =~ /$tag/g) {
			$mentions{$1} //= "$file:" . ($i + 1);
			$sites{$1}{$file}++ if $comment !~ /^\S|^ \*/;
		}
		my $here = $comment =~ /\S/ ? $comment : '';
		if ($code =~ /\S/) {
			my $n = $code =~ /^#\s*define/ ? 0 : scalar(() = $code =~ /$atomic/g);
			noted($untagged, $file, $i + 1, $code =~ s/^\s+|\s+$//gr)
				for "$said $here" =~ /$tag|$reason/ ? () : 1 .. $n;
			$said = $here;
		} else {
			$said = $i && $code[$i - 1] =~ /\S/ ? $here : "$said $here";
		}
	}
}

for (sort keys %mentions) {
	my ($file, $line) = split /:/, $mentions{$_};
	my $n = eval { my $sum = 0; $sum += $_ for values %{$sites{$_} // {}}; $sum };
	noted($unknown, $file, $line, "[$_] has no row in lib/README.md")
		unless $row_of{$_};
	noted($alone, $file, $line, "[$_] has $n sites") if $n < 2;
}
if ($ENV{FIX}) {
	my $map = text('lib/README.md');
	my ($table) = $map =~ /^(\Q| | orders | sites |\E\n.*?\n)(?=[^|])/ms;
	my $new = join "\n", map {
		my @cells = split / \| /, $_, 3;
		my %in = map { map { s{.*/}{}r => 1 } keys %{$sites{$_} // {}} } $cells[0] =~ /\b([A-Z]\d+)\b/g;
		%in ? "$cells[0] | $cells[1] | " . join(' ', map { "`$_`" } sort keys %in) . ' |' : $_;
	} split /\n/, $table;
	$map =~ s/\Q$table\E/$new\n/;
	open my $out, '>', 'lib/README.md' or die "lib/README.md: $!\n";
	print $out $map;
	close $out or die "lib/README.md: $!\n";
	print "the table of tags is written anew\n";
	exit 0;
}
for my $row (@rows) {
	my $name = join ' ', @{$row->{tags}};
	for my $t (@{$row->{tags}}) {
		noted($unknown, 'lib/README.md', 1, "[$t] has " . @{$row_of{$t}} . ' rows') if @{$row_of{$t}} > 1;
		noted($unknown, 'lib/README.md', 1, "[$t] is in no file")
			unless $mentions{$t};
	}
	for my $f (@{$row->{files}}) {
		noted($rows, 'lib/README.md', 1, "$name: no site in $f")
			unless grep { my $t = $_; grep { m{(^|/)\Q$f\E\z} } keys %{$sites{$t} // {}} } @{$row->{tags}};
	}
	for my $t (@{$row->{tags}}) {
		for my $s (sort keys %{$sites{$t} // {}}) {
			noted($rows, 'lib/README.md', 1, "$name: its row does not name $s, which has [$t]")
				unless grep { $s =~ m{(^|/)\Q$_\E\z} } @{$row->{files}};
		}
	}
}
verdict();
