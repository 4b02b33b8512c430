#!/bin/sh
# Prints the part of the long lists of test cases that a run takes: 1/3, 2/3 or
# 3/3. The number of the commit decides, so that a commit always takes the same
# part and three commits in a row take every case. A shallow clone does not know
# the number; there it is the time of the commit.
if [ "$(git rev-parse --is-shallow-repository 2>/dev/null)" = false ]; then
	n=$(git rev-list --count HEAD)
else
	n=$(git log -1 --format=%ct 2>/dev/null || echo 0)
fi
echo "$((n % 3 + 1))/3"
