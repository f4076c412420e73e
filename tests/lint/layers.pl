# layers.pl - the folders of lib/ know each other in one direction only: that of the map in
# lib/README.md.
#
# - Every module stands in the map just once, and in that folder, if lib/ has folders.
# - No file includes a header of a folder further down in the map.
# - No function of a folder further down is called, but those that lib/base/doors.h declares; and those
#   are true doors: defined further down than the header.
# - Modules that include each other in a circle are few.
use strict;
use warnings;
use Lint;

my $misplaced = 'modules not in the map, or not as there';
my @files = sources('lib', qr/\.[ch]\z/);
my (%folder, %rank, %is, %by_name, %includes);

for (map_rows()) {
	my ($folder, $module) = @$_;
	$rank{$folder} //= keys %rank;
	noted($misplaced, 'lib/README.md', 1, "$module stands in the map twice") if $folder{$module};
	$folder{$module} = $folder;
}
noted($misplaced);
for my $file (@files) {
	my $module = module_of($file);
	$is{$module}++;
	push @{$by_name{$file =~ s{.*/}{}r}}, $file;
	my $where = $file =~ m{^lib/(\w+)/} ? $1 : undef;
	my $says = $folder{$module} // 'none';
	noted($misplaced, $file, 1, "the map of lib/README.md has it in folder $says")
		if $says eq 'none' || ($where && $where ne $says);
}
$is{$_} or noted($misplaced, 'lib/README.md', 1, "there is no module $_")
	for sort keys %folder;

sub above { # above FROM TO - modules: TO is further down in the map
	my ($from, $to) = map { defined $folder{$_} ? $rank{$folder{$_}} : undef } @_;
	return defined $from && defined $to && $to > $from;
}

noted('upward includes');
for my $file (@files) {
	my $code = text($file);
	while ($code =~ /^\s*#\s*include\s+"([^"]+)"/mg) {
		my $name = $1;
		my ($target) = grep { m{(^|/)\Q$name\E\z} } @{$by_name{$name =~ s{.*/}{}r} // []};
		next unless $target && module_of($target) ne module_of($file);
		$includes{module_of($file)}{module_of($target)} = 1;
		noted('upward includes', $file, line_of($code, $-[1]), "includes $name")
			if above(module_of($file), module_of($target));
	}
}

# Who defines what: functions, by a name at the beginning of a line that goes on to a brace;
# variables.
my $begin = qr/(?!static\b|\#|typedef\b)[A-Za-z_]/;
my $ours = qr/(?:oi|ouro)_\w+/;
my (%defined, %door);
for my $file (@files) {
	my $code = code($file);
	$defined{$1} = module_of($file) while $code =~ /^$begin[^\n;{}=]*?\b($ours)\s*\([^;{}]*\)\s*\{/mg;
	$defined{$1} = module_of($file)
		while $code =~ /^(?!extern\b)$begin[\w\s*]*?\b($ours)\s*(?:\[[^\]]*\])*[^=;{}()]*[=;]/mg;
	next if module_of($file) ne 'doors';
	$door{$1} = line_of($code, $-[1]) while $code =~ /\b((?:oi|ouro)_\w+)\s*\(/g;
}
noted('false doors');
for (sort keys %door) {
	my $where = $defined{$_} // 'no file';
	noted('false doors', 'doors.h', $door{$_}, "$_ is defined in $where, which is not further down")
		unless above('doors', $where);
}

noted('upward calls');
for my $file (@files) {
	my ($code, %seen) = code($file);
	while ($code =~ /\b((?:oi|ouro)_\w+)\b/g) {
		my ($name, $at) = ($1, $-[1]);
		next if $name eq 'ouro_type' || substr($code, 0, $at) =~ /\bstruct \z/; # types
		next if !$defined{$name} || $door{$name} || $seen{$name}
			|| !above(module_of($file), $defined{$name});
		# only declared there
		next if $file =~ /\.h\z/ && $code =~ /\b$name\s*\([^;{}]*\)[^;{}]*;/ && $code !~ /\t.*\b$name\b/;
		$seen{$name} = 1;
		noted('upward calls', $file, line_of($code, $at), "uses $name of $defined{$name}");
	}
}

# The largest circle of modules, by Tarjan's walk.
my (%index, %low, %on, @stack, @largest, $n);
sub walk {
	my ($m) = @_;
	$index{$m} = $low{$m} = ++$n;
	push @stack, $m;
	$on{$m} = 1;
	for (sort keys %{$includes{$m}}) {
		walk($_) unless $index{$_};
		$low{$m} = $low{$_} if $on{$_} && $low{$_} < $low{$m};
	}
	return if $low{$m} != $index{$m};
	my @circle;
	do { push @circle, pop @stack; delete $on{$circle[-1]} } while $circle[-1] ne $m;
	@largest = @circle if @circle > @largest;
}
{
	no warnings 'recursion';
	$index{$_} or walk($_) for sort keys %is;
}
noted('modules in the largest circle');
@largest > 1 and noted('modules in the largest circle', 'lib', 0, $_) for sort @largest;
verdict();
