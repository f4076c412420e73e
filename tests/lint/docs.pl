# docs.pl - every public function has a comment above it; one that returns something says what,
# after "Return:".
#
# Functions that follow each other without an empty line share the comment above the first of
# them.
use strict;
use warnings;
use Lint;

my ($bare, $silent) =
	('public functions without a comment', 'public functions whose comment does not say what they return');
noted($bare), noted($silent);
for my $file (sources('include', qr/\.h\z/)) {
	my ($code, $text) = (code($file), text($file));
	while ($code =~ /^OURO_API\s+([^;{}()]*?)\b(ouro_\w+)\s*\([^;{}]*\)[^;{}]*[;{]/mg) {
		my ($type, $name, $at) = ($1, $2, $-[0]);
		my $line = line_of($code, $at);
		my $before = substr $text, 0, $at;
		# declarations that share the comment
		$before =~ s/(?:^(?:OURO_API|\s*__attribute__|\t)[^\n]*\n)+\z//m;
		my $comment = $before =~ m{(/\*(?:(?!\*/).)*\*/)[ \t]*\n\z}s ? $1 : undef;
		if (!$comment) {
			noted($bare, $file, $line, $name);
		} elsif ($type !~ /^\s*void\s*\z/ && $comment !~ /\breturns?\b|\bnew reference\b|\btrue\b/i) {
			noted($silent, $file, $line, $name);
		}
	}
}
verdict();
