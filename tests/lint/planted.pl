# planted.pl RULE - sees that the rule, a file of this folder, finds each of the mistakes in
# planted/RULE.
#
# There a mistake is a tree of its own, as small as can be:
#	=== what is wrong
#	expect: a text that the rule must say of it
#	--- path of a file
#	its text; a \ at the beginning of a line is taken away
# The rule must fail, and say that. A tree that begins with "=== clean" is one on which it must
# not.
use strict;
use warnings;
use File::Basename;
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);

my ($rule) = @ARGV;
my $here = dirname($0);
my $name = basename($rule) =~ s/\.\w+\z//r;
open my $in, '<', "$here/planted/$name" or print("no mistake is planted for it\n"), exit 1;
my $text = do { local $/; <$in> };
my ($found, $all) = (0, 0);
for my $mistake (grep { /\S/ } split /^=== /m, $text) {
	my ($head, @files) = split /^--- /m, $mistake;
	my ($what) = $head =~ /\A([^\n]*)/;
	my @expected = $head =~ /^expect: ([^\n]*)/mg;
	my $tree = tempdir(CLEANUP => 1);
	for (@files) {
		my ($path, $content) = /\A(\S+)\n(.*)\z/s;
		$content =~ s/^\\//mg;
		make_path(dirname("$tree/$path"));
		open my $out, '>', "$tree/$path" or die "$tree/$path: $!\n";
		print $out $content;
		close $out or die "$tree/$path: $!\n";
	}
	my $interpreter = $rule =~ /\.pl\z/ ? "perl -I$here" : 'sh';
	my $said = qx($interpreter $rule $tree 2>&1);
	my $failed = $? != 0;
	remove_tree($tree);
	print($said), exit 0 if $said =~ /^skipped: /;
	$all++;
	my $ok = $what =~ /^clean/ ? !$failed : $failed && @expected && !grep { index($said, $_) < 0 } @expected;
	$found++ if $ok;
	print "      not found: $what; it said:\n", map({ "        $_\n" } split /\n/, $said)
		unless $ok;
}
print "found $found of $all planted mistakes\n";
exit($found == $all && $all ? 0 : 1);
