#!/usr/bin/env bash
# Makes what is generated of the types in core/api: deep copies and custom
# resource definitions.
#
#   tools/generate.sh CONTROLLER_GEN          writes them
#   tools/generate.sh CONTROLLER_GEN --check  writes nothing, and fails with the
#                                             difference if they are not fresh
set -euo pipefail
cd "$(dirname "$0")/.."
controller_gen=$1 api=core/api

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
for version in "$api"/velero/*/; do
	"$controller_gen" object paths="./$version" output:dir="$fresh/velero/$(basename "$version")"
done
"$controller_gen" crd paths="./$api/velero/..." output:dir="$fresh/crds"

generated() { (cd "$1" && ls -1 crds/*.yaml velero/*/zz_generated.*.go); }

if [ "${2:-}" != --check ]; then
	(cd "$api" && rm -f crds/*.yaml velero/*/zz_generated.*.go)
	cp -r "$fresh"/. "$api"/
	exit
fi
stale=0
diff -u <(generated "$api") <(generated "$fresh") || stale=1
for file in $(generated "$fresh"); do
	diff -u "$api/$file" "$fresh/$file" || stale=1
done
[ "$stale" = 0 ] || { echo "$api holds generated files that are not those of its types: make generate" >&2; exit 1; }
