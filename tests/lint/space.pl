# space.pl - no white space at the end of a line, no tab after a space at its beginning, one
# newline at the end of a file.
use strict;
use warnings;
use Lint;

my $name = 'lines with white space where none should be';
noted($name);
for my $file (sources(
	'lib include tests stress bench examples .ci Makefile README.md CHANGELOG.md .clang-tidy .gitignore',
	qr/\.(c|cc|h|pml|sh|pl|pm|py|mut|md|in|map|nim|php)\z|Makefile\z|run\z|limits\z|\/?\.[a-z-]+\z/)) {
	next if $file =~ /\.png\z/;
	my $text = text($file);
	my $n = 0;
	for (split /\n/, $text, -1) {
		$n++;
		noted($name, $file, $n, 'white space at its end') if /\s\z/;
		noted($name, $file, $n, 'a tab after spaces') if /^\t* +\t/;
	}
	noted($name, $file, $n, 'no newline at the end') if $text !~ /\n\z/;
	noted($name, $file, $n - 1, 'an empty line at the end') if $text =~ /\n\n\z/;
}
verdict();
