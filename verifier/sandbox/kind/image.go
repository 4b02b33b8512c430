package kind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"k8s.io/apimachinery/pkg/util/version"
)

// Repositories of node images. Each tag is a version of Kubernetes, v1.34.4.
const (
	published = "kindest/node"  // by the kind project
	homemade  = "lifeboat/node" // by `make node-image`, without any registry
)

// SourceVersion is the KubernetesVersion of a Choice that means the version of
// the cluster the backup was made of. It is the default.
const SourceVersion = "source"

// Choice names the node image that a sandbox runs. The first that is set decides.
type Choice struct {
	NodeImage string // a reference
	// KubernetesVersion is 1.36, 1.36.2 or v1.36.2; without a patch the newest
	// local image of that minor version is taken. "" or SourceVersion is Source.
	KubernetesVersion string
	// Source is the version of the backup's cluster (Velero's annotation
	// velero.io/source-cluster-k8s-gitversion). What vendors add to a version
	// (-gke.100, +k3s1, -eks-1234567) is ignored: there are no node images
	// of it.
	Source string
}

// errNoVersion means that a backup does not record the version of its cluster.
var errNoVersion = errors.New("the backup does not say which Kubernetes version its cluster had: name one with --kubernetes-version, or an image with --node-image")

// pick decides which image to run, by the tags of both repositories that the
// host's engine has (repository:tag). It prefers local images to those that have to
// be pulled, and kind's own to ours.
func (c Choice) pick(local []string) (ref string, err error) {
	if c.NodeImage != "" {
		return c.NodeImage, nil
	}
	wanted, exact, err := c.version()
	if err != nil {
		return "", err
	}
	if !exact {
		return newestOf(wanted, local)
	}
	tag := ":v" + wanted.String()
	for _, repository := range []string{published, homemade} {
		if slices.Contains(local, repository+tag) {
			return repository + tag, nil
		}
	}
	return published + tag, nil
}

// version is the version asked for, and whether it names a patch.
func (c Choice) version() (v *version.Version, exact bool, err error) {
	asked, by := c.KubernetesVersion, "--kubernetes-version"
	if asked == "" || asked == SourceVersion {
		if asked, by = c.Source, "the version of the backup's cluster"; asked == "" {
			return nil, false, errNoVersion
		}
	}
	v, err = version.ParseGeneric(asked)
	if err != nil || len(v.Components()) < 2 || len(v.Components()) > 3 {
		return nil, false, fmt.Errorf("%s %q is not a version of Kubernetes: write it as 1.36.2, or name an image with --node-image", by, asked)
	}
	return v, len(v.Components()) == 3, nil
}

// newestOf is the newest local image of a minor version.
func newestOf(minor *version.Version, local []string) (best string, err error) {
	var newest *version.Version
	for _, repository := range []string{published, homemade} {
		for _, ref := range local {
			tag, ours := strings.CutPrefix(ref, repository+":v")
			v, err := version.ParseGeneric(tag)
			if !ours || err != nil || v.Major() != minor.Major() || v.Minor() != minor.Minor() {
				continue
			}
			if newest == nil || newest.LessThan(v) {
				best, newest = ref, v
			}
		}
	}
	if newest == nil {
		return "", fmt.Errorf("no node image of Kubernetes %s is available locally: name a patch that kind publishes (https://hub.docker.com/r/kindest/node/tags), such as --kubernetes-version %s.0", minor, minor)
	}
	return best, nil
}

// notPublished explains that a pull found no such image.
func notPublished(ref string, local []string) string {
	return ref + " does not exist: kind does not publish an image of each patch of Kubernetes; name one that it does (https://hub.docker.com/r/kindest/node/tags) with --kubernetes-version, or make one with `make node-image`" + atHand(local)
}

func atHand(local []string) string {
	if len(local) == 0 {
		return ""
	}
	return " (available locally: " + strings.Join(local, ", ") + ")"
}

// Labels of images by `make node-image`: the version of kind they were made for,
// whose authors promise no more than that an image works with the release it was
// published with, and that of Kubernetes.
const (
	homemadeLabel   = "dev.lifeboat.node.kind"
	kubernetesLabel = "dev.lifeboat.node.kubernetes"
)

// inspected is what the engine reports of an image.
type inspected struct {
	Config struct {
		Entrypoint []string
		Labels     map[string]string
	}
}

// checkNodeImage reports what is wrong with an image before kind tries for half a
// minute to boot it.
func checkNodeImage(ref, linked string, i inspected) error {
	if n := len(i.Config.Entrypoint); n == 0 || i.Config.Entrypoint[n-1] != "/sbin/init" {
		return fmt.Errorf("%s is not a kind node image (its entrypoint is %q): name one of %s, or make one with `make node-image`", ref, strings.Join(i.Config.Entrypoint, " "), published)
	}
	if made, ok := i.Config.Labels[homemadeLabel]; ok && strings.TrimPrefix(made, "v") != strings.TrimPrefix(linked, "v") {
		return fmt.Errorf("%s was made for kind %s, and this program has kind %s: rebuild it with `make node-image`", ref, made, linked)
	}
	return nil
}

// runnable is a local node image.
type runnable struct {
	ref string
	inspected
}

func (r runnable) homemade() bool { _, ok := r.Config.Labels[homemadeLabel]; return ok }

// kubernetes is the version that the image runs, by its label or its tag; nil if it
// is unknown.
func (r runnable) kubernetes() *version.Version {
	text, ok := r.Config.Labels[kubernetesLabel]
	if !ok {
		named, err := reference.ParseDockerRef(r.ref)
		if err != nil {
			return nil
		}
		tagged, ok := named.(reference.Tagged)
		if !ok {
			return nil
		}
		text = tagged.Tag()
	}
	v, err := version.ParseGeneric(text)
	if err != nil || len(v.Components()) < 2 {
		return nil
	}
	return v
}

var errNoImage = errors.New("no such image")

// inspect asks the engine for an image that it has, or fails with errNoImage.
func inspect(ctx context.Context, ref string) (inspected, error) {
	answer, err := docker(ctx, nil, "image", "inspect", "--format", "{{json .}}", ref)
	if said := strings.ToLower(words(err)); strings.Contains(said, "no such image") || strings.Contains(said, "not found") {
		return inspected{}, errNoImage
	}
	if err != nil {
		return inspected{}, err
	}
	var i inspected
	if err := json.Unmarshal([]byte(answer), &i); err != nil {
		return inspected{}, fmt.Errorf("read what the engine reports of %s: %w", ref, err)
	}
	return i, nil
}

// pullNode has the engine pull a node image.
func pullNode(ctx context.Context, ref string, local []string) error {
	_, err := docker(ctx, nil, "pull", "--quiet", ref)
	switch said := strings.ToLower(words(err)); {
	case err == nil:
		return nil
	case strings.Contains(said, "not found"), strings.Contains(said, "manifest unknown"), strings.Contains(said, "does not exist"):
		return fmt.Errorf("%s: %w", notPublished(ref, local), err)
	}
	return fmt.Errorf("node image %s is not available locally and cannot be pulled; make one without any registry with `make node-image`%s: %w", ref, atHand(local), err)
}
