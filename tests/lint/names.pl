# names.pl - what comments and the READMEs name exists.
#
# - Identifiers: oi_x, ouro_x, OI_X, OURO_X; one that ends in _* stands for all that begin so.
# - Files of this tree: x.c, x.h, x.pml and so on, by their name or the end of their path; <x.h>
#   is the system's.
# - Notes, which are explained once, in a comment a line of which begins with the Note's name and
#   a full stop.
# - INV-x, which stands in the table of invariants in lib/README.md.
use strict;
use warnings;
use Lint;

my $words = source_words();
my @words = sort keys %$words;
my %files = map { $_ => 1 }
	sources('lib include tests stress bench examples .ci Makefile README.md CHANGELOG.md', qr/./);
my %ends;
for my $f (keys %files) {
	for (my $end = $f; ; $end =~ s{^[^/]*/}{} or last) { $ends{$end} = 1 }
}
my %invariant = map { $_->[0] => 1 } table('lib/README.md', '| | | when |');
my (%explained, @references);

sub prose { # the text of a file that is prose, with its lines
	my ($file) = @_;
	return comments($file) if $file =~ /\.(c|cc|h|pml)\z/;
	return text($file) if $file =~ /\.md\z/;
	return join "\n", map { /(?:^|\s)#(?!!)(.*)/ ? $1 : '' } split /\n/, text($file);
}

sub exists_word {
	my ($word, $star) = @_;
	return 1 if $words->{$word};
	return $star && grep { /^\Q$word\E/ } @words;
}

my ($names, $files) = ('names that do not exist', 'files that do not exist');
my ($notes, $invariants) = ('Notes that are not there, or twice', 'invariants that do not exist');
noted($_) for $names, $files, $notes, $invariants;
for my $file (grep { !/CHANGELOG/ } sources('lib include tests stress bench examples README.md Makefile .ci',
	qr/\.(c|cc|h|pml|md|sh|pl|pm)\z|Makefile\z|run\z/)) {
	my $prose = prose($file);
	while ($prose =~ /(?<![\w<\/.-])((?:oi|ouro|OI|OURO)_[A-Za-z0-9_]+)(\*|\w*\{)?/g) {
		my ($word, $star, $at) = ($1, $2, $-[1]);
		noted($names, $file, line_of($prose, $at), $word)
			unless exists_word($word, $star || $word =~ /_\z/) || $word =~ /_x\z|^\w+_X\z/;
	}
	# x.c, RULE.pl and prog.c are anybody's.
	while ($prose =~ /(?<![\w<\/.*\$}-])((?:[\w-]+\/)*[A-Za-z0-9_-]+\.(?:c|cc|h|pml|sh|pl|mut|md))\b(?![\w>])/g) {
		my ($name, $at) = ($1, $-[1]);
		noted($files, $file, line_of($prose, $at), $name)
			unless $ends{$name} || $name =~ /(?:^|\/)(?:\w|[A-Z]+|prog)\.\w+\z/;
	}
	while ($prose =~ /Note\s(?:\*\s)?\[([A-Z]+)\](\.?)/g) {
		my ($note, $stop, $at) = ($1, $2, $-[1]);
		my $begins = substr($prose, 0, $at) =~ m{\n \* Note \[\z};
		if ($begins && $stop) {
			push @{$explained{$note}}, [$file, line_of($prose, $at)];
		} else {
			push @references, [$file, line_of($prose, $at), $note];
		}
	}
	while ($prose =~ /INV-([A-Z]\d+)/g) {
		noted($invariants, $file, line_of($prose, $-[1]), "INV-$1")
			unless $invariant{$1};
	}
}
for (@references) {
	my ($file, $line, $note) = @$_;
	noted($notes, $file, $line, "Note [$note] is explained nowhere") unless $explained{$note};
}
for my $note (sort keys %explained) {
	my @there = @{$explained{$note}};
	noted($notes, @{$there[1]}, "Note [$note] is explained in $there[0][0], too") if @there > 1;
}
verdict();
