# Page.pm - what manual pages are made of: man.pl and Cxx.pm write them.
package Page;
use strict;
use warnings;
use Exporter 'import';
use POSIX 'strftime';
our @EXPORT = qw(text begin write_page leads_to roff header_of bare verbatim running listed);

my ($to, $version);

sub begin { # begin DIRECTORY, VERSION
	($to, $version) = @_;
	mkdir $to;
}

sub text {
	my ($file) = @_;
	open my $in, '<', $file or die "$file: $!\n";
	local $/;
	return scalar <$in>;
}

sub write_page { # write_page NAME, SECTION, TEXT
	my ($name, $section, $text) = @_;
	my $folder = "$to/man$section";
	mkdir $folder;
	open my $out, '>', "$folder/$name.$section" or die "$folder/$name.$section: $!\n";
	print $out $text;
	close $out or die "$name: $!\n";
}

sub leads_to { # leads_to PAGE, NAME - in the same section
	my ($page, $name) = @_;
	my ($section) = $page =~ /(\d)\z/;
	symlink $page, "$to/man$section/$name.$section" or die "$name.$section: $!\n";
}

sub roff { # roff TEXT - nothing in it is taken for a request, or an escape
	my ($text) = @_;
	$text =~ s/\\/\\e/g;
	$text =~ s/-/\\-/g;
	$text =~ s/^(['.])/\\&$1/gm;
	return $text;
}

sub header_of { # header_of NAME, SECTION, HEADER
	my ($name, $section, $header) = @_;
	my $time = $ENV{SOURCE_DATE_EPOCH} // (stat $header)[9];
	my $date = strftime('%Y-%m-%d', gmtime $time);
	return qq{.TH $name $section $date "ouro $version" "ouro"\n};
}

sub bare { # bare COMMENT - its lines, without what makes it a comment
	my ($comment) = @_;
	$comment =~ s{\A/\*+[ \t]*\n?|\s*\*/\z}{}g;
	$comment =~ s/^[ \t]*\*[ ]?//gm;
	$comment =~ s/\s*SPDX-License-Identifier:.*//;
	return split /\n/, $comment;
}

sub verbatim { # verbatim LINES
	return (".RS 4\n.nf\n", (map { (length $_ ? roff($_) : '') . "\n" } @_), ".fi\n.RE\n");
}

# running LINES - paragraphs; what is indented stays as it is written.
sub running {
	my @lines = @_;
	my ($out, @kept) = ('');
	my $flush = sub {
		pop @kept while @kept && $kept[-1] eq '';
		$out .= join('', verbatim(@kept)) . ".PP\n" if @kept;
		@kept = ();
	};
	for (@lines) {
		if (/^\s+\S/ || (@kept && $_ eq '')) {
			push @kept, $_;
			next;
		}
		$flush->();
		my $begun = $out eq '' || $out =~ /\.PP\n\z/;
		$out .= $_ ne '' ? roff($_) . "\n" : $begun ? '' : ".PP\n";
	}
	$flush->();
	$out =~ s/\.PP\n\z//;
	return $out;
}

sub listed { # listed SECTION, PAGES
	my ($section, @pages) = @_;
	return join '', map { ".TP\n.BR $_->[0] ($section)\n" . roff($_->[1]) . "\n" } @pages;
}

1;
