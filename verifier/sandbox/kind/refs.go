package kind

import (
	"fmt"
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
	// source is the image whose content is provided: itself, or its substitute.
	source string
}

// wantsOf reads the images and decides where each comes from. An image that is no
// reference goes to missing.
func wantsOf(images []string, o policy.Images) (wants []want, missing map[string]string) {
	missing = map[string]string{}
	for _, image := range images {
		named, err := reference.ParseDockerRef(image)
		if err != nil {
			missing[image] = "is not an image reference: " + err.Error()
			continue
		}
		w := want{image: image, name: named.String(), source: image}
		if other, ok := o.StandIn(image); ok {
			w.source = other
		}
		if _, err := reference.ParseDockerRef(w.source); err != nil {
			missing[image] = fmt.Sprintf("%s, its substitute, is not an image reference: %v", w.source, err)
			continue
		}
		wants = append(wants, w)
	}
	return wants, missing
}

// onNode is an image as the node's runtime has it.
type onNode struct {
	name   string
	digest string // of the image, sha256:…
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
