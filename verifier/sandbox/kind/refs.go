package kind

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

// want is one image of the backup.
type want struct {
	image string // as the pod spec has it
	// name is how the node's runtime looks it up: with registry and repository
	// spelled out, the tag latest if there is none, and without a tag if there is a
	// digest.
	name string
	// source is the image whose content is provided: itself, or the one that stands
	// in for it.
	source string
}

// wantsOf reads the images and decides where each comes from. An image that is no
// reference goes to missing.
func wantsOf(images []string, o policy.Images) (wants []want, missing map[string]string) {
	missing = map[string]string{}
	for _, image := range images {
		named, err := reference.ParseDockerRef(image)
		if err != nil {
			missing[image] = "is no image reference: " + err.Error()
			continue
		}
		w := want{image: image, name: named.String(), source: image}
		if o.Mode == policy.ImagesSubstitute {
			w.source = standIn(o.Mapping, image, w.name)
		}
		if _, err := reference.ParseDockerRef(w.source); err != nil {
			missing[image] = fmt.Sprintf("%s, which stands in for it, is no image reference: %v", w.source, err)
			continue
		}
		wants = append(wants, w)
	}
	return wants, missing
}

// standIn is the image that stands in for one, or the image itself if the mapping
// has none. An entry of the same name decides before a pattern, and of patterns
// the longest.
func standIn(mapping map[string]string, image, full string) string {
	best, found := "", false
	for _, pattern := range slices.Sorted(maps.Keys(mapping)) {
		switch {
		case pattern == image || pattern == full:
			return mapping[pattern]
		case (!found || len(pattern) > len(best)) && (matches(pattern, image) || matches(pattern, full)):
			best, found = pattern, true
		}
	}
	if !found {
		return image
	}
	return mapping[best]
}

// matches reads * in a pattern as any text, also across slashes.
func matches(pattern, image string) bool {
	expression := "^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$"
	ok, err := regexp.MatchString(expression, image)
	return err == nil && ok
}

// onNode is an image as the node's runtime has it.
type onNode struct {
	name   string
	digest string // of what the name stands for, sha256:…
}

// parseOnNode reads the table of `ctr images ls`: a head, then lines of name, type
// and digest and more.
func parseOnNode(table string) []onNode {
	var out []onNode
	for i, line := range lines(table) {
		if f := strings.Fields(line); i > 0 && len(f) >= 3 && strings.HasPrefix(f[2], "sha256:") {
			out = append(out, onNode{name: f[0], digest: f[2]})
		}
	}
	return out
}

// find is an image on the node that is what source asks for: one of that name, or
// for a reference with a digest one of that content.
func find(images []onNode, source string) (onNode, bool) {
	named, err := reference.ParseDockerRef(source)
	if err != nil {
		return onNode{}, false
	}
	for _, i := range images {
		if i.name == named.String() {
			return i, true
		}
	}
	if d, ok := named.(reference.Digested); ok {
		for _, i := range images {
			if i.digest == d.Digest().String() {
				return i, true
			}
		}
	}
	return onNode{}, false
}
