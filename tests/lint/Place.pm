# Place.pm - where a mutant's text stands in a file: token by token, whatever the layout and the comments.
package Place;
use strict;
use warnings;
use Exporter 'import';
our @EXPORT = qw(place_of);

my $between = qr{(?:\s|/\*.*?\*/)*}s;

sub place_of { # place_of TEXT: a pattern
	my ($text) = @_;
	$text =~ s{/\*.*?\*/}{ }gs;
	my $pattern = join $between, map { quotemeta } $text =~ /\w+|[^\w\s]/g;
	return qr/(?<!\w)$pattern(?!\w)/ if $text =~ /^\s*\w/ && $text =~ /\w\s*$/;
	return $text =~ /^\s*\w/ ? qr/(?<!\w)$pattern/ : qr/$pattern/;
}

1;
