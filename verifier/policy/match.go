package policy

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"
)

// StandIn returns the substitute for an image of the backup; false if it has none.
// Entries of the mapping are compared with the image as a pod names it, and with
// the full name that a node's runtime uses (docker.io/library/…). An entry with the
// same name takes precedence over patterns, and longer patterns over shorter ones.
func (i Images) StandIn(image string) (string, bool) {
	if i.Mode != ImagesSubstitute {
		return "", false
	}
	full := image
	if named, err := reference.ParseDockerRef(image); err == nil {
		full = named.String()
	}
	best, found := "", false
	for _, pattern := range slices.Sorted(maps.Keys(i.Mapping)) {
		switch {
		case pattern == image || pattern == full:
			return i.Mapping[pattern], true
		case (!found || len(pattern) > len(best)) && (matches(pattern, image) || matches(pattern, full)):
			best, found = pattern, true
		}
	}
	return i.Mapping[best], found
}

// Accepts reports whether the waiver is about a finding of a check on an object.
func (w Waiver) Accepts(check, object string) bool {
	return w.Check == check && (w.Object == "" || matches(w.Object, object))
}

// matches reads * in a pattern as any text, also across slashes.
func matches(pattern, s string) bool {
	expression := "^(?s:" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + ")$"
	ok, err := regexp.MatchString(expression, s)
	return err == nil && ok
}
