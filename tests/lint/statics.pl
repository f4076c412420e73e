# statics.pl - a static function of lib/ has a name of its own: a stack trace, a profile or a
# debugger says it without the file.
use strict;
use warnings;
use Lint;

my %where;
for my $file (sources('lib', qr/\.c\z/)) {
	my $code = code($file);
	while ($code =~ /^(?:static|OI_INLINE)\b[^;{}=()]*?\b(?!__attribute__)(\w+)\s*\([^;{}]*\)\s*\{/mg) {
		$where{$1}{$file} //= line_of($code, $-[1]);
	}
}
noted('names of static functions used again');
for my $name (sort keys %where) {
	my ($first, @others) = sort keys %{$where{$name}};
	noted('names of static functions used again', $_, $where{$name}{$_}, "$name, as in $first")
		for @others;
}
verdict();
