package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

// pulls is how many images a node pulls at a time.
const pulls = 3

// Provide puts images on the node under the names by which its kubelet looks them
// up, so that only a pull policy Always of the restored objects has to change. It
// must be called before Contain: a closed sandbox pulls nothing.
//
//   - pull: the node's runtime pulls them from the registries, without passwords.
//     The host's engine is not used: it would keep them for ever. Only the engine
//     has the passwords of private registries; use load for those.
//   - load: from the host's engine, which must have them, or from an archive as
//     `docker save` or an OCI tool writes it.
//   - substitute: as load, but with the substitutes in Images.Mapping. An image
//     that the mapping does not name is used itself.
//
// What is on the node already is not fetched. An image with a digest (@sha256:…)
// is looked up by that digest: pulled, it is that content; of the host's engine, it
// is the image that the engine once pulled by it; in an archive it is there only
// if the archive kept the registry's manifest, as OCI archives do and those of
// `docker save` do not.
//
// missing holds the images that are not available, with the reason of each. An
// error means that the node or the archive itself is of no use.
func (s *Sandbox) Provide(ctx context.Context, images []string) (missing map[string]string, err error) {
	n, err := s.current()
	if err != nil {
		return nil, err
	}
	wants, missing := wantsOf(images, s.Images)
	wants, err = n.absent(ctx, wants)
	if err != nil || len(wants) == 0 {
		return missing, err
	}
	var failed map[string]string
	switch {
	case s.Images.Mode == policy.ImagesPull || s.Images.Mode == "":
		failed, err = n.pullAll(ctx, wants)
	case s.Images.Archive != "":
		failed, err = n.loadArchive(ctx, s.Images.Archive, wants)
	default:
		failed, err = n.loadFromEngine(ctx, wants)
	}
	maps.Copy(missing, failed)
	return missing, err
}

// ctr is the beginning of a command to the node's runtime, in the namespace in
// which the kubelet looks.
func ctr(args ...string) []string { return append([]string{"ctr", "--namespace", "k8s.io"}, args...) }

// images lists what the node has.
func (n *node) images(ctx context.Context) ([]onNode, error) {
	table, err := n.exec(ctx, nil, ctr("images", "ls")...)
	if err != nil {
		return nil, fmt.Errorf("list the images of the node: %w", err)
	}
	return parseOnNode(table), nil
}

// absent leaves out images that the node already has. Substitutes are always
// loaded.
func (n *node) absent(ctx context.Context, wants []want) ([]want, error) {
	have, err := n.images(ctx)
	if err != nil {
		return nil, err
	}
	var out []want
	for _, w := range wants {
		if i, ok := find(have, w.name); !ok || i.name != w.name || w.source != w.image {
			out = append(out, w)
		}
	}
	return out, nil
}

// pullAll has the node pull.
func (n *node) pullAll(ctx context.Context, wants []want) (map[string]string, error) {
	reasons := make([]string, len(wants))
	var g errgroup.Group
	g.SetLimit(pulls)
	for i, w := range wants {
		g.Go(func() error {
			_, err := n.exec(ctx, nil, ctr("images", "pull", w.name)...)
			if err != nil && ctx.Err() != nil {
				return err
			}
			reasons[i] = whyNotPulled(err)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("pull images: %w", err)
	}
	missing := map[string]string{}
	for i, w := range wants {
		if reasons[i] != "" {
			missing[w.image] = reasons[i]
		}
	}
	return missing, nil
}

// whyNotPulled is the reason in a word or two, and what helps; "" without error.
func whyNotPulled(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if said := words(err); said != "" {
		text = said
		if _, last, found := strings.Cut(said, "ctr: "); found { // what comes before it are its tries
			text = last
		}
	}
	switch lower := strings.ToLower(text); {
	case strings.Contains(lower, "not found"):
		return "there is no such image: " + text
	case strings.Contains(lower, "authorization"), strings.Contains(lower, "unauthorized"), strings.Contains(lower, "denied"), strings.Contains(lower, "403"):
		return "the registry requires a login: pull it with the host's engine and use --images load: " + text
	}
	return "cannot be pulled: " + text
}

// loadFromEngine copies images of the host's engine to the node. Those with a tag
// go in one archive, in which what they share is once; the engine does not write
// the name of one that it knows by digest only, so each of these goes alone.
func (n *node) loadFromEngine(ctx context.Context, wants []want) (map[string]string, error) {
	missing := map[string]string{}
	var tagged, bare []want
	for _, w := range wants {
		switch _, err := inspect(ctx, w.source); {
		case errors.Is(err, errNoImage):
			missing[w.image] = w.lacks("the host's container engine does not have it (docker pull " + w.source + ")")
		case err != nil:
			return missing, err
		case strings.Contains(w.source, "@"):
			bare = append(bare, w)
		default:
			tagged = append(tagged, w)
		}
	}
	if len(tagged) > 0 {
		if err := n.copyFromEngine(ctx, sources(tagged)); err != nil {
			return missing, err
		}
		if err := n.putInPlace(ctx, tagged, "the host's container engine", missing); err != nil {
			return missing, err
		}
	}
	for _, w := range bare {
		if err := n.copyByDigest(ctx, w); err != nil {
			return missing, err
		}
	}
	return missing, nil
}

// lacks returns the reason why an image is missing, with the name of its
// substitute.
func (w want) lacks(why string) string {
	if w.source == w.image {
		return why
	}
	return w.source + ", its substitute: " + why
}

// sources are the images to copy, each once.
func sources(wants []want) []string {
	seen := map[string]bool{}
	var out []string
	for _, w := range wants {
		if !seen[w.source] {
			seen[w.source] = true
			out = append(out, w.source)
		}
	}
	return out
}

// copyFromEngine streams images from the host's engine into the node, without a
// file in between.
func (n *node) copyFromEngine(ctx context.Context, images []string, importArgs ...string) error {
	read, write := io.Pipe()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		cmd := command(ctx, append([]string{"save"}, images...)...)
		cmd.Stdout = write
		err := run(ctx, cmd)
		_ = write.CloseWithError(err) // never fails
		return err
	})
	g.Go(func() error {
		err := n.importImages(ctx, read, importArgs...)
		_ = read.CloseWithError(errors.Join(err, io.ErrClosedPipe)) // never fails
		return err
	})
	return g.Wait()
}

func (n *node) importImages(ctx context.Context, archive io.Reader, args ...string) error {
	_, err := n.exec(ctx, archive, ctr(append(append([]string{"images", "import"}, args...), "-")...)...)
	if err != nil {
		return fmt.Errorf("load images into the node: %w", err)
	}
	return nil
}

// byDigest is the name under which an image that has none comes to the node, for
// as long as it takes to give it the right one.
const byDigest = "lifeboat.invalid/by-digest"

func (n *node) copyByDigest(ctx context.Context, w want) error {
	before, err := n.images(ctx)
	if err != nil {
		return err
	}
	if err := n.copyFromEngine(ctx, []string{w.source}, "--base-name", byDigest, "--digests"); err != nil {
		return err
	}
	after, err := n.images(ctx)
	if err != nil {
		return err
	}
	for _, i := range after {
		was := slices.ContainsFunc(before, func(b onNode) bool { return b.name == i.name })
		if strings.HasPrefix(i.name, byDigest) && !was {
			if err := n.tag(ctx, i.name, w.name); err != nil {
				return err
			}
			_, err := n.exec(ctx, nil, ctr("images", "rm", i.name)...)
			return err
		}
	}
	return fmt.Errorf("load images into the node: %s did not arrive", w.source)
}

// loadArchive copies the images of an archive to the node, all of them.
func (n *node) loadArchive(ctx context.Context, path string, wants []want) (map[string]string, error) {
	archive, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the archive of images: %w", err)
	}
	defer archive.Close()
	if err := n.importImages(ctx, archive); err != nil {
		return nil, fmt.Errorf("archive %s: %w", path, err)
	}
	missing := map[string]string{}
	return missing, n.putInPlace(ctx, wants, "the archive "+path, missing)
}

// putInPlace gives the images that were loaded the names that are wanted.
func (n *node) putInPlace(ctx context.Context, wants []want, from string, missing map[string]string) error {
	have, err := n.images(ctx)
	if err != nil {
		return err
	}
	for _, w := range wants {
		i, ok := find(have, w.source)
		if !ok {
			missing[w.image] = w.lacks(from + " does not hold it")
			continue
		}
		if i.name == w.name {
			continue
		}
		if err := n.tag(ctx, i.name, w.name); err != nil {
			return err
		}
	}
	return nil
}

// tag gives an image of the node another name.
func (n *node) tag(ctx context.Context, from, to string) error {
	if _, err := n.exec(ctx, nil, ctr("images", "tag", "--force", from, to)...); err != nil {
		return fmt.Errorf("name an image of the node: %w", err)
	}
	return nil
}
