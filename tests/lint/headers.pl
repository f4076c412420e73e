# headers.pl - each header compiles alone, in a release and in a checked build, the public ones as
# C++, too.
use strict;
use warnings;
use Lint;

my $cc = $ENV{CC} || 'gcc';
my $cxx = $ENV{CXX} || 'g++';
my @folders = map { "-I$_" } grep { -d } 'include', 'lib', glob('lib/*');
my @internal = sources('lib', qr/\.h\z/);
my @public = sources('include', qr/\.h\z/);

sub alone { # alone WHAT, COMPILER AND FLAGS, HEADERS
	my ($what, $command, @headers) = @_;
	return unless @headers;
	my $said = qx(LC_ALL=C $command -fsyntax-only @folders @headers 2>&1);
	return unless $?;
	my %seen;
	while ($said =~ /^([^\s:]+):(\d+):\d+: (?:fatal )?error: ([^\n]*)/mg) {
		noted('headers that do not stand alone', $1, $2, "$what: $3") unless $seen{$1}++;
	}
	noted('headers that do not stand alone', $headers[0], 1, "$what: $said") unless %seen;
}

noted('headers that do not stand alone');
my $inside = '-std=c11 -D_GNU_SOURCE -D_LGPL_SOURCE -DOURO_INTERNAL=1';
alone('release', "$cc -x c $inside", @internal);
alone('checked', "$cc -x c $inside -DOURO_CHECKED=1", @internal);
alone('C', "$cc -x c -std=c11", @public);
if (system("command -v $cxx >/dev/null 2>&1") == 0) {
	alone('C++', "$cxx -x c++ -std=c++17", @public);
} else {
	print "      skipped: headers as C++ need $cxx\n";
}
verdict();
