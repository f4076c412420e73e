# Place.pm - where a mutant's text stands in a file: token by token, whatever the layout and the comments.
package Place;
use strict;
use warnings;
use Exporter 'import';
our @EXPORT = qw(place_of);

my $between = qr{(?:\s|(?>/\*.*?\*/))*}s; # a comment, and no more than one at a time

sub place_of { # place_of TEXT: a pattern
	my ($text) = @_;
	$text =~ s{/\*.*?\*/}{ }gs;
	return join $between, map { /\w/ ? "\\b$_\\b" : quotemeta } $text =~ /\w+|[^\w\s]/g;
}

1;
