#!/bin/sh
# deps.sh PACKAGE... - installs the Debian packages that are missing, or says which and how where it may not.
set -eu
missing=
for p; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
command="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
	root=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
	root=sudo
else
	printf 'These Debian packages are missing:%s\nInstall them, as root, with:\n  apt-get update && %s\n' "$missing" "$command" >&2
	exit 1
fi
printf 'installing Debian packages:%s\n' "$missing"
$root apt-get update -qq
DEBIAN_FRONTEND=noninteractive $root $command >/dev/null
