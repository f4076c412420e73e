# includes.pl - a header of lib/ is included for something: one name at the least that it declares,
# or that liburcu's header does which it includes, is used.
use strict;
use warnings;
use Lint;

my %declares;
for my $file (sources('lib', qr/\.h\z/)) {
	my $code = code($file);
	my %names;
	$names{$1} = 1 while $code =~ /^\s*#\s*define\s+(\w+)/mg;
	$names{$1} = 1 while $code =~ /\b((?:oi|ouro)_\w+)\s*\(/g;
	$names{$1} = 1 while $code =~ /^(?:typedef\s+)?(?:struct|union|enum)\s+(\w+)\s*\{/mg;
	$names{$1} = 1 while $code =~ /^\t(OI_\w+)\b\s*[,=}\n]/mg;
	$names{$1} = 1 while $code =~ /^extern\b[^;]*\b((?:oi|ouro)_\w+)\b/mg;
	$names{$1} = 1 while $code =~ /^typedef\b[^;]*\b(\w+)\s*;/mg;
	$names{$1} = 1 while $code =~ /^enum\s*\w*\s*\{([^}]*)\}/mg && do { $names{$_} = 1
		for $1 =~ /\b(OI_\w+)/g; 1 };
	delete @names{grep { /_H\z/ } keys %names};
	my $passed_on = text($file) =~ /^\s*#\s*include\s+<urcu\//m ? qr/\A(__)?cds_/ : qr/\A\z/;
	push @{$declares{$file =~ s{.*/}{}r}}, [$file, \%names, $passed_on];
}

noted('includes of which nothing is used');
for my $file (sources('lib', qr/\.[ch]\z/)) {
	my $text = text($file);
	my %used = map { $_ => 1 } code($file) =~ /\w+/g;
	while ($text =~ /^\s*#\s*include\s+"([^"]+)"/mg) {
		# the types, and the guard against use from outside
		my ($name, $line) = ($1, line_of($text, $-[1]));
		next if $name =~ m{(^|/)compiler\.h\z} && $file =~ /\.h\z/;
		my ($header) = grep { $_->[0] =~ m{(^|/)\Q$name\E\z} } @{$declares{$name =~ s{.*/}{}r} // []};
		next unless $header && module_of($header->[0]) ne module_of($file);
		noted('includes of which nothing is used', $file, $line, $name)
			unless grep { $header->[1]{$_} || $_ =~ $header->[2] } keys %used;
	}
}
verdict();
