# width.pl - lines are no wider than 120 columns, a tab going to the next of 8; and the fewer are
# wider than 100 the better.
use strict;
use warnings;
use Lint;

noted('lines over 120'), noted('lines over 100');
my $ours = qr/\.(c|cc|h|pml|sh|pl|pm|py|mut)\z|Makefile\z|run\z/;
for my $file (sources('lib include tests stress bench examples .ci Makefile', $ours)) {
	my $n = 0;
	for my $line (split /\n/, text($file)) {
		$n++;
		utf8::decode($line);
		1 while $line =~ s/^([^\t]*)\t/$1 . ' ' x (8 - length($1) % 8)/e;
		my $width = length $line;
		next if $width <= 100;
		noted($width > 120 ? 'lines over 120' : 'lines over 100', $file, $n, "$width columns");
	}
}
verdict();
