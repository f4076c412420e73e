# man.pl DIRECTORY VERSION - writes manual pages made of the public headers' comments: one in
# section 3 for each comment above functions, the other functions of that comment leading to it; one
# in section 7 for each header, with what it says at its beginning and the types it declares; and
# ouro(7). Cxx.pm does the same for ouro.hpp.
#
# So the headers stay the only place where anything is said. What a comment looks like is in ouro.h;
# tests/lint/docs.pl and tests/package/test_man.sh see that none is missing. The date of a page is
# that of its header, or SOURCE_DATE_EPOCH.
use strict;
use warnings;
use File::Basename 'dirname';
use lib dirname(__FILE__);
use Cxx;
use Page;

my ($to, $version) = @ARGV;
die "usage: man.pl DIRECTORY VERSION\n" unless defined $version;
my $heading = qr/^(Return|Blocks|Runs):\s*/;
my %title = (
	Return => 'RETURN VALUE',
	Blocks => 'WHAT IT MAY WAIT FOR',
	Runs => 'CODE OF THE PROGRAM IT MAY RUN',
);
# How a comment above a macro begins.
my $named = qr/[\s*]+(?:ouro|OURO)_\w+(?:\(|;| - )/;
my %of_header;

sub more { # more LINES - takes those off that are indented, as they go on with what came before
	my ($lines) = @_;
	my $said = '';
	$said .= ' ' . shift(@$lines) =~ s/^\s+//r while @$lines && $lines->[0] =~ /^\s+\S/;
	return $said;
}

# parts LINES - the summaries at a comment's beginning, its parameters, its sections, and the rest.
sub parts {
	my @lines = @_;
	my (@names, @summaries, @parameters, %section, @rest);
	while (@lines && $lines[0] =~ /^((?:ouro_\w+(?:, )?)+) - (.*)/) {
		my ($group, $says) = ($1, $2);
		push @names, split /, /, $group;
		shift @lines;
		push @summaries, [$group, $says . more(\@lines)];
	}
	while (@lines) {
		my $line = shift @lines;
		if ($line =~ /^@(\w+):\s*(.*)/) {
			push @parameters, [$1, $2];
			$parameters[-1][1] .= more(\@lines);
		} elsif ($line =~ /$heading(.*)/) {
			my ($which, @said) = ($1, $2);
			push @said, shift(@lines) =~ s/^ {1,9}//r
				while @lines && $lines[0] =~ /^ {4,}\S/;
			$section{$which} = [@said];
		} else {
			push @rest, $line;
		}
	}
	return (\@names, \@summaries, \@parameters, \%section, \@rest);
}

sub prototypes { # prototypes CODE - the functions that are declared in it, once each
	my ($code) = @_;
	my %seen;
	return map {
		my ($name) = /\b(ouro_\w+)\(/;
		$seen{$name}++ ? () : [$name, $_];
	} map { s/\s+/ /gr =~ s/\s*\bOURO_[A-Z_]+\b//gr =~ s/^\s+//r =~ s/\s+;/;/r }
		$code =~ /^OURO_API\s+([^;{}]*;)/mg;
}

sub sections_of { # sections_of SECTIONS
	my ($section) = @_;
	return join '', map { ".SH $title{$_}\n" . running(@{$section->{$_}}) }
		grep { $section->{$_} } qw(Return Blocks Runs);
}

sub function_page { # function_page HEADER, FUNCTIONS, LINES OF THE COMMENT
	my ($header, $functions, @lines) = @_;
	my ($names, $summaries, $parameters, $section, $rest) = parts(@lines);
	my %declared = map { $_->[0] => 1 } @$functions;
	my %named = map { $_ => 1 } @$names;
	my @all = ((grep { $declared{$_} } @$names), (sort grep { !$named{$_} } keys %declared));
	my $summary = @$summaries ? $summaries->[0][1] : "what is behind the macros of $header";
	my $about = 'ouro_' . $header =~ s{.*/|\.h\z}{}gr;
	my $page = header_of($all[0], 3, $header);
	$page .= ".SH NAME\n" . join(', ', @all) . ' \\- ' . roff($summary) . "\n";
	$page .= ".SH SYNOPSIS\n.nf\n.B #include <ouro.h>\n.PP\n";
	$page .= join('', map { '.B ' . roff($_->[1]) . "\n" } @$functions) . ".fi\n";
	my $description = join '', map { ".TP\n.B $_->[0]\n" . roff($_->[1]) . "\n" }
		@$summaries > 1 ? @$summaries : ();
	$description .= join '', map { ".TP\n.I $_->[0]\n" . roff($_->[1]) . "\n" } @$parameters;
	my $told = running(@$rest);
	$description .= ($description eq '' ? '' : ".PP\n") . $told if $told ne '';
	$description = roff(ucfirst($summary)) . ".\n" if $description eq '';
	$page .= ".SH DESCRIPTION\n$description" . sections_of($section);
	$page .= ".SH SEE ALSO\n.BR $about (7),\n.BR ouro (7)\n";
	write_page($all[0], 3, $page);
	leads_to("$all[0].3", $_) for @all[1 .. $#all];
	push @{$of_header{$header}}, [$all[0], $summary];
}

# macro_page HEADER, HEAD, COMMENTS, MACROS WITH ARGUMENTS - the head says what they do, and the
# comments above them, if they have some.
sub macro_page {
	my ($header, $head, $said, @macros) = @_;
	my ($first, @lines) = bare($head);
	($first, @lines) = @lines if $first eq '';
	my ($names, $summaries, $parameters, $section, $rest) = parts(@lines);
	my @all = map { s/\(.*//r } @macros;
	my $page = header_of($all[0], 3, $header) . ".SH NAME\n" . join(', ', @all) . ' \\- ';
	$page .= roff($first =~ s{^\S+ - }{}r) . "\n.SH SYNOPSIS\n.nf\n.B #include <ouro.h>\n.PP\n";
	$page .= join('', map { ".B $_;\n" } @macros) . ".fi\n.SH DESCRIPTION\n" . running(@$rest);
	$page .= join(".PP\n", '', @$said) . sections_of($section) . ".SH SEE ALSO\n.BR ouro (7)\n";
	write_page($all[0], 3, $page);
	leads_to("$all[0].3", $_) for @all[1 .. $#all];
	push @{$of_header{$header}}, [$all[0], $first =~ s{^\S+ - }{}r =~ s/\.\z//r];
}

# header_page HEADER - what it says at its beginning, its types, and its functions.
sub header_page {
	my ($header, $head, $said, @types) = @_;
	my $name = 'ouro_' . $header =~ s{.*/|\.h\z}{}gr;
	my ($first, @lines) = bare($head);
	$first = shift @lines if $first eq '';
	my $summary = $first =~ s{^\S+ - }{}r;
	$summary =~ s/\.\z//;
	my $page = header_of($name, 7, $header) . ".SH NAME\n$name \\- " . roff($summary) . "\n";
	$page .= ".SH SYNOPSIS\n.B #include <ouro.h>\n";
	my $told = running(@lines);
	$page .= ".SH DESCRIPTION\n" . ($told eq '' ? roff(ucfirst $summary) . ".\n" : $told);
	my @shown = map { join '', verbatim(split /\n/) } @types;
	$page .= ".SH TYPES\n" . join(".PP\n", @shown) if @types;
	$page .= ".SH MACROS\n" . join(".PP\n", @$said) if @$said;
	my @functions = @{$of_header{$header} // []};
	$page .= ".SH FUNCTIONS\n" . listed(3, @functions) if @functions;
	$page .= ".SH SEE ALSO\n.BR ouro (7)\n";
	write_page($name, 7, $page);
	return [$name, $summary];
}

sub overview { # overview PAGES OF HEADERS
	my $text = text('include/ouro.h');
	my ($head) = $text =~ m{\A(/\*.*?\*/)}s;
	my ($first, @lines) = bare($head);
	my $summary = $first =~ s{^\S+ - }{}r;
	my $page = header_of('ouro', 7, 'include/ouro.h');
	$page .= ".SH NAME\nouro \\- " . roff($summary) . "\n";
	$page .= ".SH SYNOPSIS\n.nf\n.B #include <ouro.h>\n.PP\n";
	$page .= "cc program.c \$(pkg\\-config \\-\\-cflags \\-\\-libs ouro)\n.fi\n";
	$page .= ".SH DESCRIPTION\n" . running(@lines) . ".SH PAGES\n";
	$page .= listed(7, @_) . ".SH C++\n" . listed(7, Cxx::pages());
	write_page('ouro', 7, $page . ".SH SEE ALSO\n.BR pkg\\-config (1)\n");
}

begin($to, $version);
my @headers;
for my $header (sort glob 'include/ouro/*.h') {
	my $text = text($header);
	my ($head) = $text =~ m{\A(/\*.*?\*/)}s or die "$header: no comment at its beginning\n";
	while ($text =~ m{^(/\*(?:(?!\*/).)*\*/)\n((?:[^\n]+\n)+)}msg) {
		my ($comment, $code) = ($1, $2);
		my @functions = prototypes($code);
		function_page($header, \@functions, bare($comment)) if @functions;
	}
	my @macros = $text =~ /^#define (ouro_\w+\([^()]*\))/mg;
	my @said = map { join '', verbatim(bare($_)) }
		$text =~ m{^(/\*$named(?:(?!\*/).)*\*/)\n#}msg;
	macro_page($header, $head, \@said, @macros) if @macros;
	my $type = qr/(?:typedef )?(?:struct|enum)[^\n;]*\{\n.*?^\}[^\n]*;/ms;
	my @types = $text =~ m{^((?:/\*(?:(?!\*/).)*\*/\n)?$type)}msg;
	push @headers, header_page($header, $head, \@said, @types);
}
overview(@headers);
