#!/bin/sh
# Puts prometheus and promtool of Debian's package into a folder, for tests and
# checks: unpacked, not installed, so that no service is started and nothing
# outside the folder changes. Does nothing when both are in PATH or in the
# folder already.
#   tools/prometheus.sh DIR
set -eu
dir=$1
if command -v prometheus >/dev/null 2>&1 && command -v promtool >/dev/null 2>&1; then
	exit 0
fi
if [ -x "$dir/prometheus" ] && [ -x "$dir/promtool" ]; then
	exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
	echo "missing: prometheus and promtool; install them (Debian package: prometheus) and run make again" >&2
	exit 1
fi
mkdir -p "$dir"
tmp=$(mktemp -d "$dir/unpack.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
# apt-get drops its privileges to download; let it into the folder.
chmod 0777 "$tmp"
cd "$tmp"
if ! apt-get download prometheus >download.log 2>&1; then
	apt-get update >update.log 2>&1 || true
	apt-get download prometheus >download.log 2>&1 || {
		echo "missing: prometheus and promtool; apt-get cannot download Debian's package prometheus:" >&2
		cat download.log >&2
		exit 1
	}
fi
dpkg-deb -x prometheus_*.deb root
mv root/usr/bin/promtool root/usr/bin/prometheus "$dir/"
