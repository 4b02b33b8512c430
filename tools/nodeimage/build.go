package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sync/errgroup"
)

type builder struct {
	in      inputs
	cache   string // folder for what can be used again
	mirror  string // of Debian; "" is debootstrap's
	started time.Time
}

// say shows progress, with the seconds since the start.
func (b *builder) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "node image %6.1fs  %s\n", time.Since(b.started).Seconds(), fmt.Sprintf(format, args...))
}

// provide sees to it that the daemon has the image.
func (b *builder) provide(ctx context.Context) error {
	archive := filepath.Join(b.cache, "image-"+b.in.digest[:12]+".tar.gz")
	there, err := b.present(ctx)
	if err != nil {
		return err
	}
	switch {
	case there:
		b.say("%s is there", b.in.reference())
	case exists(archive):
		b.say("loading %s", archive)
		if err := loadArchive(ctx, archive); err != nil {
			return fmt.Errorf("%w; remove %s to build it again", err, archive)
		}
	default:
		if err := b.build(ctx); err != nil {
			return err
		}
	}
	if !exists(archive) {
		b.say("saving it")
		if err := saveArchive(ctx, b.in.build(), archive); err != nil {
			return err
		}
		b.say("done")
	}
	if err := docker(ctx, nil, nil, "tag", b.in.build(), b.in.reference()); err != nil {
		return err
	}
	return b.forget(ctx, archive)
}

// forget removes the images and archives of earlier inputs, which take the space
// of a small system each. A cluster that still runs of one keeps it alive.
func (b *builder) forget(ctx context.Context, archive string) error {
	var refs strings.Builder
	if err := docker(ctx, nil, &refs, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", builds); err != nil {
		return err
	}
	for _, ref := range strings.Fields(refs.String()) {
		if ref != b.in.build() {
			b.clean("image", "rm", ref)
		}
	}
	archives, err := filepath.Glob(filepath.Join(b.cache, "image-*.tar.gz"))
	for _, a := range archives {
		if a != archive {
			err = errors.Join(err, os.Remove(a))
		}
	}
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// present asks the daemon for the image.
func (b *builder) present(ctx context.Context) (bool, error) {
	var ids strings.Builder
	if err := docker(ctx, nil, &ids, "image", "ls", "--quiet", b.in.build()); err != nil {
		return false, err
	}
	return ids.Len() > 0, nil
}

// build makes the image in two steps, because only containerd can lay out its
// own folder: first a node without images, then, run in it, the import of them.
func (b *builder) build(ctx context.Context) error {
	b.say("building %s", b.in.reference())
	var p programs
	var debian string
	parts, pctx := errgroup.WithContext(ctx)
	parts.Go(func() (err error) { p, err = b.compile(pctx); return err })
	parts.Go(func() (err error) { debian, err = b.debian(pctx); return err })
	if err := parts.Wait(); err != nil {
		return err
	}
	base := builds + "-base:" + b.in.digest[:12]
	b.say("importing the root file system")
	if err := b.importBase(ctx, base, debian, p); err != nil {
		return err
	}
	// docker import makes an image that nothing but the node image is built on.
	defer b.clean("image", "rm", base)
	b.say("packing the images of the cluster")
	archive := filepath.Join(b.cache, "images.tar")
	if err := writeClusterImages(archive, debian, p, b.in.kubernetes); err != nil {
		return err
	}
	defer os.Remove(archive)
	b.say("unpacking them in the node")
	if err := b.commit(ctx, base, archive); err != nil {
		return err
	}
	b.say("built")
	return nil
}

func (b *builder) importBase(ctx context.Context, base, debian string, p programs) error {
	files, err := nodeFiles(p, os.DirFS(filepath.Join(b.in.source(), "files")), b.in.kubernetes)
	if err != nil {
		return err
	}
	in, err := os.Open(debian)
	if err != nil {
		return err
	}
	defer in.Close()
	return piped(
		func(w io.Writer) error { return writeRootfs(w, in, files) },
		func(r io.Reader) error {
			return docker(ctx, r, nil, "import",
				"--change", `ENTRYPOINT ["/kind/bin/entrypoint","/sbin/init"]`,
				"--change", "ENV container=docker",
				"-", base)
		},
	)
}

func writeClusterImages(path, debian string, p programs, kubernetes string) error {
	layers := map[string]layer{}
	for name, files := range layerFiles(p) {
		l, err := makeLayer(func(w io.Writer) error { return writeLayer(w, files) })
		if err != nil {
			return fmt.Errorf("layer %s: %w", name, err)
		}
		layers[name] = l
	}
	in, err := os.Open(debian)
	if err != nil {
		return err
	}
	defer in.Close()
	if layers["packetfilter"], err = makeLayer(func(w io.Writer) error { return writePacketFilter(w, in) }); err != nil {
		return fmt.Errorf("layer packetfilter: %w", err)
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(writeImages(out, clusterImages(kubernetes), layers), out.Close())
}

// commit imports the images in a container of the base, whose folder of
// containerd is a volume (overlay file systems do not stack), and puts that
// folder into the image.
func (b *builder) commit(ctx context.Context, base, archive string) error {
	importing, final := b.container("import"), b.container("final")
	defer b.clean("rm", "--force", "--volumes", importing, final)
	in, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := docker(ctx, in, nil, "run", "--interactive", "--name", importing, "--privileged", "--network", "none",
		"--volume", "/var/lib/containerd", "--tmpfs", "/run", "--entrypoint", "/kind/bin/entrypoint", base, "load", "-"); err != nil {
		return err
	}
	// Neither import nor commit takes the signal that ends systemd; a container
	// hands on its own.
	if err := docker(ctx, nil, nil, "create", "--name", final, "--stop-signal", "SIGRTMIN+3", base); err != nil {
		return err
	}
	err = piped(
		func(w io.Writer) error { return docker(ctx, nil, w, "cp", importing+":/var/lib/containerd", "-") },
		func(r io.Reader) error { return docker(ctx, r, nil, "cp", "-", final+":/var/lib") },
	)
	if err != nil {
		return err
	}
	return docker(ctx, nil, nil, "commit",
		"--change", fmt.Sprintf("LABEL %s=%s %s=%s %s=%s", labelKind, b.in.kind, labelKubernetes, b.in.kubernetes, labelInputs, b.in.digest),
		final, b.in.build())
}

// container names a container of this build; no other process has the name.
func (b *builder) container(role string) string {
	return fmt.Sprintf("lifeboat-node-image-%s-%d", role, os.Getpid())
}

// clean runs docker whatever became of the build.
func (b *builder) clean(args ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// What is not there cannot be removed, and need not be.
	_ = exec.CommandContext(ctx, "docker", args...).Run()
}

// piped runs a writer and a reader at the two ends of a pipe.
func piped(write func(io.Writer) error, read func(io.Reader) error) error {
	r, w := io.Pipe()
	var ends errgroup.Group
	ends.Go(func() error {
		err := write(w)
		w.CloseWithError(err)
		return err
	})
	err := read(r)
	r.Close()
	if werr := ends.Wait(); err == nil || !errors.Is(werr, io.ErrClosedPipe) {
		err = errors.Join(err, werr)
	}
	return err
}

// docker runs the docker program. Its error holds what it said.
func docker(ctx context.Context, stdin io.Reader, stdout io.Writer, args ...string) error {
	var said strings.Builder
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, &said
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("the docker program is missing")
	}
	if err != nil {
		return fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(said.String()))
	}
	return nil
}

func saveArchive(ctx context.Context, reference, path string) error {
	half := path + ".part"
	f, err := os.Create(half)
	if err != nil {
		return err
	}
	defer os.Remove(half)
	packed, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(docker(ctx, nil, packed, "save", reference), packed.Close(), f.Close()); err != nil {
		return err
	}
	return os.Rename(half, path)
}

func loadArchive(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return docker(ctx, f, nil, "load")
}
