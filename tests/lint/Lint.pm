# Lint.pm - what the rules of this folder share: the files of the tree, C without its comments,
# comments without the C, and the verdict.
#
# A rule is run as "perl -Itests/lint RULE.pl TREE". It notes findings under a name, each name has
# a limit in TREE/tests/lint/limits, 0 if it has none there, and a rule fails if there are more
# findings than that. It shows them then, unless very many are allowed; with VERBOSE=1 it shows
# them all the same. With LOWER=1 it writes the limits anew that are higher than need be.
package Lint;
use strict;
use warnings;
use Exporter 'import';

our @EXPORT = qw(sources text code comments line_of noted verdict module_of map_rows source_words table);

my (%text, %code, %comments, %findings, @names);
my $tree = $ARGV[0] // '.';
chdir $tree or die "$tree: $!\n";

# sources FOLDERS, PATTERN - the files of these folders whose names match, sorted. What is planted
# on purpose is none of them.
sub sources {
	my ($folders, $pattern) = @_;
	my @found;
	my @todo = grep { -e } split ' ', $folders;
	while (defined(my $path = shift @todo)) {
		if (-d $path && !-l $path) {
			opendir my $folder, $path or die "$path: $!\n";
			push @todo, map { "$path/$_" } grep { !/^\.\.?\z|^build\z|^planted\z/ } readdir $folder;
		} elsif (-f $path && $path =~ $pattern) {
			push @found, $path;
		}
	}
	return sort @found;
}

sub text {
	my ($file) = @_;
	return $text{$file} //= do {
		open my $in, '<', $file or die "$file: $!\n";
		local $/;
		scalar(<$in>) // '';
	};
}

# Two copies of the text, of its length and with its lines: one with blanks for comments and
# strings, one for everything but comments.
sub take_apart {
	my ($file) = @_;
	return if defined $code{$file};
	my ($c, $n) = ('', '');
	for (text($file) =~ m{(/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[^/"']+|.)}gs) {
		(my $blank = $_) =~ s/[^\n\t]/ /g;
		my $comment = m{\A/[*/]};
		my $string = m{\A["'].};
		$n .= $comment ? $_ : $blank;
		$c .= $comment ? $blank : $string ? '"' . substr($blank, 2) . '"' : $_;
	}
	($code{$file}, $comments{$file}) = ($c, $n);
}

sub code     { take_apart($_[0]); return $code{$_[0]} }
sub comments { take_apart($_[0]); return $comments{$_[0]} }

# line_of TEXT, OFFSET - the number of the line.
sub line_of { return 1 + (substr($_[0], 0, $_[1]) =~ tr/\n//) }

sub module_of { return $_[0] =~ m{([^/]+)\.[^./]+\z} ? $1 : $_[0] }

# table FILE, HEADING - the rows of the table whose first line begins with HEADING, each a list of
# cells; without the heading.
sub table {
	my ($file, $heading) = @_;
	return () unless -e $file && text($file) =~ /^\Q$heading\E[^\n]*\n\|[-| ]+\|\n((?:\|[^\n]*\n)+)/m;
	return map { [map { s/^ +| +$//gr } split /\|/, substr($_, 1)] } split /\n/, $1;
}

# map_rows - the map of lib/: pairs of a folder and a module, in the order of the map.
sub map_rows {
	my @pairs;
	for my $row (table('lib/README.md', '| folder | modules |')) {
		my ($folder) = $row->[0] =~ /(\w+)/;
		push @pairs, map { [$folder, s/\.[ch]\z//r] } $row->[1] =~ /`([\w.]+)`/g;
	}
	return @pairs;
}

# source_words - every word of the code of the tree, scripts and the Makefile included.
sub source_words {
	my %words;
	for (sources('lib include tests stress bench examples', qr/\.(c|cc|h)\z/)) {
		$words{$_}++ for code($_) =~ /\w+/g;
		# names of variables of the environment, and functions that dlsym finds
		$words{$_}++ for text($_) =~ /"(\w+)/g;
	}
	for my $file (sources('Makefile .ci lib tests stress bench examples', qr/\.(sh|pl|py|in|map|run)\z|Makefile\z|run\z/)) {
		$words{$_}++ for map { /\w+/g } map { s/(^|\s)#.*//r } split /\n/, text($file);
	}
	return \%words;
}

# noted NAME, FILE, LINE, MESSAGE. Without a file: the name is looked at, and nothing is found so
# far.
sub noted {
	my ($name, $file, $line, $message) = @_;
	push @names, $name unless $findings{$name};
	my $list = $findings{$name} //= [];
	push @$list, "$file:$line: $message" if defined $file;
}

sub limits {
	my %limit;
	return %limit unless -e 'tests/lint/limits';
	return map { /^(\d+)\s+(.*?)\s*$/ ? ($2, $1) : () } split /\n/, text('tests/lint/limits');
}

# lower NAME, N - writes the limit of this name anew.
sub lower {
	my ($name, $n) = @_;
	my $limits = join '', map { "$_\n" } map { s/^\d+\s*(?=(.*?)\s*$)/$1 eq $name ? sprintf '%-5d', $n : $&/er }
		split /\n/, do { delete $text{'tests/lint/limits'}; text('tests/lint/limits') };
	open my $out, '>', 'tests/lint/limits' or die "tests/lint/limits: $!\n";
	print $out $limits;
	close $out or die "tests/lint/limits: $!\n";
}

# verdict - prints a line that says how many of what were found, after the findings if there are
# too many; ends the program.
sub verdict {
	my %limit = limits();
	my ($bad, @said) = (0);
	for my $name (@names) {
		my $n = @{$findings{$name}};
		my $limit = $limit{$name} // 0;
		print map { "      $_\n" } @{$findings{$name}}
			if $ENV{VERBOSE} || ($n > $limit && $limit < 20);
		print "      $name: $n, where at most $limit are allowed (VERBOSE=1 shows all)\n"
			if $n > $limit;
		$bad = 1 if $n > $limit;
		lower($name, $n) if $ENV{LOWER} && ($n < $limit || $ENV{LOWER} eq 'or raise');
		push @said, "$n $name" . ($limit ? $n < $limit ? " (limit $limit: lower it)" : " (limit $limit)" : '');
	}
	print join(', ', @said), "\n";
	exit $bad;
}

1;
