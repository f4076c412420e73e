# plant.pl MUTANT FILE - prints FILE with the text MUTANT.old, which must stand there just once, replaced by MUTANT.new.
use strict;
use warnings;

sub content {
	open my $in, '<', $_[0] or die "$_[0]: $!\n";
	local $/;
	return scalar(<$in>) // '';
}

my ($mutant, $file) = @ARGV;
my ($text, $old, $new) = (content($file), content("$mutant.old"), content("$mutant.new"));
my $n = () = $text =~ /\Q$old\E/g;
die "its text stands $n times in the file\n" if $n != 1;
$text =~ s/\Q$old\E/$new/;
print $text;
