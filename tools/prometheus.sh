#!/bin/sh
# Puts prometheus and promtool of Debian's package into a folder, for tests and
# checks: unpacked, not installed, so that no service is started and nothing
# outside the folder changes. A program that is in PATH or in the folder already
# is not fetched again.
#   tools/prometheus.sh DIR
set -eu
dir=$1

# fetch PACKAGE FILE=PROGRAM...: PROGRAM is the name its project gives to what
# Debian calls /usr/bin/FILE.
fetch() {
	package=$1
	shift
	missing=
	for pair in "$@"; do
		program=${pair#*=}
		command -v "$program" >/dev/null 2>&1 || [ -x "$dir/$program" ] || missing=yes
	done
	[ -n "$missing" ] || return 0
	if ! command -v apt-get >/dev/null 2>&1; then
		echo "missing: a program of Debian's package $package ($*); install it and run make again" >&2
		exit 1
	fi
	mkdir -p "$dir"
	tmp=$(mktemp -d "$dir/unpack.XXXXXX")
	# apt-get drops its privileges to download; let it into the folder.
	chmod 0777 "$tmp"
	(
		cd "$tmp"
		if ! apt-get download "$package" >download.log 2>&1; then
			apt-get update >update.log 2>&1 || true
			apt-get download "$package" >download.log 2>&1 || {
				echo "missing: apt-get cannot download Debian's package $package:" >&2
				cat download.log >&2
				exit 1
			}
		fi
		dpkg-deb -x "${package}"_*.deb root
	)
	for pair in "$@"; do
		mv "$tmp/root/usr/bin/${pair%=*}" "$dir/${pair#*=}"
	done
	rm -rf "$tmp"
}

tmp=
trap '[ -z "$tmp" ] || rm -rf "$tmp"' EXIT
fetch prometheus prometheus=prometheus promtool=promtool
