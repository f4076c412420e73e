# Cxx.pm - manual pages of ouro.hpp and what it includes: one in section 3 for each class, and for
# each comment above functions outside of classes; one in section 7 for each header. What is in the
# namespace detail is nobody's business.
package Cxx;
use strict;
use warnings;
use Page;

my $comment = qr{/\*(?:(?!\*/).)*\*/}s;

sub name_of { # name_of HEADER - of its page
	return 'ouro_' . $_[0] =~ s{.*/}{}r =~ s/\.hpp\z/_hpp/r if $_[0] =~ m{ouro/};
	return 'ouro_hpp';
}

# without_bodies CODE - declarations alone: no function bodies, initialisers, or conditions that
# only choose among overloads.
sub without_bodies {
	my ($code) = @_;
	my $braces;
	$braces = qr/\{(?:[^{}]|(??{ $braces }))*\}/;
	my $kept = '';
	for my $part (split /($comment)/, $code) {
		if ($part !~ m{\A/\*}) {
			$part =~ s/(\)(?:\s*(?:const|noexcept))*)(?:\s*:\s[^;{}]*)?\s*$braces/$1;/g;
			$part =~ s/detail::(item_of)/$1/g;
			$part =~ s/, class = detail::if_converts<\w+, \w+>//g;
		}
		$kept .= $part;
	}
	return $kept;
}

sub bodiless { # bodiless CODE - comments inside of bodies must not cut them into pieces
	my ($code) = @_;
	my $plain = '';
	my $depth = 0;
	for my $part (split m{($comment|[{}])}, $code) {
		$depth-- if $part eq '}';
		$plain .= $part unless $depth && $part =~ m{\A/\*};
		$depth++ if $part eq '{';
	}
	return without_bodies($plain);
}

sub public_part { # public_part BODY OF A CLASS
	my ($body) = @_;
	my ($out, $public) = ('', 0);
	for (split /^/, $body) {
		if (/^(public|protected|private):/) {
			$public = $1 eq 'public';
		} elsif ($public) {
			$out .= $_;
		}
	}
	return bodiless($out) =~ s/^\t//gmr =~ s/\n{2,}\z/\n/r;
}

sub first_sentence { # first_sentence LINES
	my $said = join(' ', @_) =~ s/\s+/ /gr;
	return $said =~ s/[.:;](?: .*|\z)//r;
}

sub see { # see HEADER
	return ".SH SEE ALSO\n.BR " . name_of($_[0]) . " (7),\n.BR ouro_hpp (7)\n";
}

sub synopsis { # synopsis DECLARATION...
	return ".SH SYNOPSIS\n.nf\n.B #include <ouro.hpp>\n.PP\n"
		. join('', map { '.B ' . roff($_) . "\n" } @_) . ".fi\n";
}

sub class_page { # class_page HEADER, COMMENT, DECLARATION, NAME, BODY
	my ($header, $said, $declaration, $name, $body) = @_;
	my @lines = bare($said);
	my $summary = lcfirst first_sentence(@lines);
	my $page = header_of("ouro::$name", 3, $header);
	$page .= ".SH NAME\nouro::$name \\- " . roff($summary) . "\n";
	$page .= synopsis("namespace ouro { $declaration; }");
	$page .= ".SH DESCRIPTION\n" . running(@lines);
	my $members = public_part($body);
	$page .= ".SH MEMBERS\n" . join('', verbatim(split /\n/, $members));
	write_page("ouro::$name", 3, $page . see($header));
	return ["ouro::$name", $summary];
}

# function_page HEADER, COMMENT, [NAME, DECLARATION]... - of the functions that stand below it
sub function_page {
	my ($header, $said, @functions) = @_;
	my @lines = bare($said);
	my $summary = lcfirst first_sentence(@lines);
	if ($lines[0] =~ /^\w+(?:<.*>)?\(.*\) - (.*)/) { # name(arguments) - what it does
		shift @lines;
		my $told = $1;
		$told .= ' ' . shift(@lines) =~ s/^\s+//r while @lines && $lines[0] =~ /^\s+\S/;
		$summary = $told =~ s/;.*//r;
		unshift @lines, ucfirst("$told.");
	}
	my ($throws) = grep { $lines[$_] =~ /^Throws: / } 0 .. $#lines;
	my @thrown = defined $throws ? splice(@lines, $throws) : ();
	s/^(?:Throws: )?\s*// for @thrown;
	my %seen;
	my @names = grep { !$seen{$_}++ } map { $_->[0] } @functions;
	my $page = header_of("ouro::$names[0]", 3, $header);
	$page .= ".SH NAME\n" . join(', ', map { "ouro::$_" } @names) . ' \\- ' . roff($summary);
	$page .= "\n" . synopsis(map { "$_->[1];" } @functions);
	$page .= ".SH DESCRIPTION\n" . running(@lines);
	$page .= ".SH EXCEPTIONS\n" . running(@thrown) if @thrown;
	write_page("ouro::$names[0]", 3, $page . see($header));
	leads_to("ouro::$names[0].3", "ouro::$_") for @names[1 .. $#names];
	return ["ouro::$names[0]", $summary];
}

# functions_below CODE - those that stand below a comment, up to the next blank line
sub functions_below {
	my @found;
	for (split /^(?=template|inline|\[\[)/m, without_bodies($_[0])) {
		my $flat = s/\s+/ /gr =~ s/^\s+//r =~ s/;.*//r;
		push @found, [$1, $flat] if $flat =~ /^[^(]*?\b(?!operator\b)([a-z_]+)\(/;
	}
	return @found;
}

sub header_page { # header_page HEADER, PAGES OF OTHERS - and the pages of what is in it
	my ($header, @below) = @_;
	my $text = text($header);
	my ($head) = $text =~ /\A($comment)/ or die "$header: no comment at its beginning\n";
	my ($first, @lines) = bare($head);
	$first = shift @lines if $first eq '';
	my $summary = $first =~ s{^\S+ - }{}r =~ s/\.\z//r;
	$text =~ s{^namespace (?:ouro::)?detail \{\n.*?^\} // namespace \S*detail\n}{}msg;
	my @macros = $text =~ /^#define (OURO_[A-Z_]+[A-Z])\(/mg;
	$text =~ s{^/\* ---- how the macros work.*}{}ms;
	my (@pages, @shown);
	my $class = qr/(?:template <[^\n]*> )?class (\w+)[^\n;]*/;
	while ($text =~ s/^($comment)\n($class) \{\n(.*?)^\};\n/\n/ms) {
		push @pages, class_page($header, $1, $2, $3, $4);
	}
	while ($text =~ m{^($comment)\n((?:[^\n]+\n)+)}msg) {
		my ($said, $code) = ($1, $2);
		my @functions = functions_below($code);
		push @pages, function_page($header, $said, @functions) if @functions;
		push @shown, "$said\n$1" if $code =~ /^(using [^;]*;|inline constexpr [^;]*;)/;
		push @shown, "$said\n$1" if $code =~ /\A(struct [a-z_]+ \{\n[^()]*^\};)/m;
	}
	my $name = name_of($header);
	my $page = header_of($name, 7, $header) . ".SH NAME\n" . join(', ', $name, @macros);
	my $told = @lines ? running(@lines) : roff(ucfirst $summary) . ".\n";
	$page .= ' \\- ' . roff($summary) . "\n" . synopsis() . ".SH DESCRIPTION\n$told";
	@shown = map { join '', verbatim(split /\n/) } @shown;
	$page .= ".SH TYPES\n" . join(".PP\n", @shown) if @shown;
	$page .= ".SH PAGES\n" . listed(3, sort { $a->[0] cmp $b->[0] } @pages) if @pages;
	$page .= ".SH PAGES\n" . listed(7, @below) if @below;
	my @others = $header eq 'include/ouro.hpp' ? () : '.BR ouro_hpp (7)';
	$page .= ".SH SEE ALSO\n" . join(",\n", @others, '.BR ouro (7)') . "\n";
	write_page($name, 7, $page);
	leads_to("$name.7", $_) for @macros;
	return [$name, $summary];
}

sub pages { # pages - writes all; returns those in section 7
	my @below = map { header_page($_) } sort glob 'include/ouro/*.hpp';
	return (header_page('include/ouro.hpp', @below), @below);
}

1;
