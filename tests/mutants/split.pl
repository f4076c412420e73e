# split.pl DIRECTORY FILE... - takes the mutants of the files apart: NAME.file, .what, .kill, .old, .new, and the list "names".
use strict;
use warnings;

my $to = shift @ARGV;
my (@names, %seen);

sub put {
	my ($name, $part, $text) = @_;
	open my $out, '>', "$to/$name.$part" or die "$to/$name.$part: $!\n";
	print $out $text;
	close $out or die "$to/$name.$part: $!\n";
}

for my $path (@ARGV) {
	open my $in, '<', $path or die "$path: $!\n";
	my $text = do { local $/; <$in> };
	for (split /^=== /m, $text) {
		next unless /\A([a-z0-9-]+): ([^\n]*)\n(\S+)\nkill: ([^\n]*)\n(.*?)^---\n(.*)\z/ms;
		my ($name, $what, $file, $kill, $old, $new) = ($1, $2, $3, $4, $5, $6);
		die "$path: $name twice\n" if $seen{$name}++;
		push @names, $name;
		$new =~ s/\n+\z/\n/;
		put($name, @$_) for ['file', $file], ['what', $what], ['kill', $kill], ['old', $old], ['new', $new];
	}
	my $heads = () = $text =~ /^=== /mg;
	die "$path: a mutant is not understood: $heads heads, " . keys(%seen) . " mutants so far\n" if $heads > keys %seen;
}
open my $list, '>', "$to/names" or die "$to/names: $!\n";
print $list "$_\n" for @names;
