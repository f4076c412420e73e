#!/bin/sh
# deb.sh VERSION - Debian packages in build/deb: a source package of what `make dist` makes, with
# debian/ from beside this file, and the binary ones of it; lintian looks at all; then they are
# installed into a fresh Debian (debootstrap), where programs are built with them (installed.sh),
# and removed again. Where no root, or no mirror, is to be had that last part is skipped, with a
# line.
# TEST=1: the package's build runs the tests, too.
# MAINTAINER='Name <address>': who answers for the packages; as it is, an address that there is not.
set -eu
version=$1
maintainer=${MAINTAINER:-The ouro maintainers <maintainers@ouro.invalid>}
here=$(cd "$(dirname "$0")" && pwd)
work=$PWD/build/deb
root=$work/root
source=$work/ouro-$version

say() { # say WORDS...
	echo "== $*"
}

source_tree() { # the upstream tar, unpacked, with debian/ in it
	rm -rf "$work"/ouro* "$work"/lib*
	mkdir -p "$work"
	"$here/dist.sh" "$work/ouro-$version.tar.gz"
	mv "$work/ouro-$version.tar.gz" "$work/ouro_$version.orig.tar.gz"
	tar -xzf "$work/ouro_$version.orig.tar.gz" -C "$work"
	cp -R "$here/debian" "$source/debian"
	for f in control changelog.in; do
		sed -e "s/@VERSION@/$version/" -e "s|@MAINTAINER@|$maintainer|" \
			-e "s/@DATE@/$(date -Ru -r "$source/CHANGELOG.md")/" \
			"$here/debian/$f" >"$source/debian/${f%.in}"
	done
	rm "$source/debian/changelog.in"
}

packages() { # built as somebody would who knows nothing of this make
	options=parallel=2
	[ -n "${TEST:-}" ] || options="$options nocheck"
	(cd "$source" && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL DEB_BUILD_OPTIONS="$options" \
		dpkg-buildpackage -us -uc) >"$work/build.log" 2>&1 || {
		tail -n 40 "$work/build.log"
		exit 1
	}
	(cd "$work" && ls ./*.deb ./*.dsc)
}

mirror() { # where this system's packages come from
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1
}

fresh_debian() { # in $root; it is kept for the next time
	[ ! -e "$root/complete" ] || return 0
	# shellcheck disable=SC1091
	suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
	rm -rf "$root"
	mkdir -p "$root/etc/dpkg/dpkg.cfg.d" # nothing here has to outlive a power cut
	echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/quick"
	debootstrap --variant=minbase \
		--include=gcc,g++,libc6-dev,liburcu-dev,pkg-config,cmake,make \
		"$suite" "$root" "$(mirror)" >"$work/debootstrap.log" 2>&1 && touch "$root/complete"
}

in_root() { # in_root COMMAND...
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive \
		chroot "$root" "$@"
}

tried_there() { # installed, used, removed
	rm -rf "$root/tmp/ouro"
	mkdir "$root/tmp/ouro"
	cp -R "$work"/libouro0_*.deb "$work"/libouro-dev_*.deb "$work"/ouro-doc_*.deb \
		"$source/tests/package/installed.sh" \
		"$source/tests/package/user" "$root/tmp/ouro"
	in_root sh -c 'dpkg -i /tmp/ouro/*.deb' >"$work/install.log" 2>&1 || {
		cat "$work/install.log"
		exit 1
	}
	multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
	# gdb looks for its commands below the library's own place.
	[ -s "$root/usr/share/gdb/auto-load/usr/lib/$multiarch/libouro.so.$version-gdb.py" ] || {
		echo 'gdb would not find its commands'
		exit 1
	}
	[ "$(in_root dpkg -s libouro0 | sed -n 's/^Maintainer: //p')" = "$maintainer" ] || {
		echo "the maintainer is not $maintainer"
		exit 1
	}
	in_root sh /tmp/ouro/installed.sh / "/usr/lib/$multiarch"
	in_root dpkg --purge libouro-dev libouro0 ouro-doc >"$work/remove.log" 2>&1 || {
		cat "$work/remove.log"
		exit 1
	}
	left=$(in_root find /usr /etc /var/lib/dpkg/info -name '*ouro*')
	[ -z "$left" ] || { echo "left by dpkg --purge: $left"; exit 1; }
}

say 'source package'
source_tree
say 'binary packages'
packages
say 'lintian'
lintian --allow-root --fail-on error,warning "$work"/*.changes
say 'a fresh Debian'
if [ "$(id -u)" != 0 ]; then
	echo 'skipped: debootstrap needs root'
elif ! fresh_debian; then
	tail -n 3 "$work/debootstrap.log"
	echo 'skipped: debootstrap does not work here'
else
	tried_there
fi
say "deb: ok, ouro $version"
