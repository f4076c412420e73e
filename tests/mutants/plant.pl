# plant.pl MUTANT FILE - prints FILE with the text MUTANT.old, which must stand there just once,
# whatever its layout and comments, replaced by MUTANT.new.
use strict;
use warnings;
use Place;

sub content {
	open my $in, '<', $_[0] or die "$_[0]: $!\n";
	local $/;
	return scalar(<$in>) // '';
}

my ($mutant, $file) = @ARGV;
my ($text, $place, $new) = (content($file), place_of(content("$mutant.old")), content("$mutant.new"));
my $n = () = $text =~ /$place/g;
die "its text stands $n times in the file\n" if $n != 1;
$new =~ s/^\s+|\s+$//g;
$text =~ s/$place/$new/;
print $text;
