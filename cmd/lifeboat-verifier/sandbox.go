package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

// maxMapping bounds the file of --image-mapping, in bytes.
const maxMapping = 1 << 20

// kindFlags are the flags of level kind. They fill in a policy.Spec, so that a
// drill does the same whether flags or a policy ask for it.
type kindFlags struct {
	kubernetesVersion string
	nodeImage         string
	images            string
	imageArchive      string
	imageMapping      string
	egress            []string
	cronJobs          string
	workloadsTimeout  time.Duration
	// What a policy says and a flag would say in another form.
	mapping map[string]string
	ways    []policy.Egress
}

// The words of --cronjobs, and what they are in a policy.
var cronJobs = map[string]policy.CronJobs{"suspended": policy.CronJobsSuspended, "as-is": policy.CronJobsAsIs}

func (f *kindFlags) add(c *cobra.Command) {
	s := c.Flags()
	s.StringVar(&f.kubernetesVersion, "kubernetes-version", "source", "level kind: Kubernetes `version` of the sandbox, such as 1.36.2; source is that of the backup's cluster")
	s.StringVar(&f.nodeImage, "node-image", "", "level kind: `image` of the sandbox's node; outranks --kubernetes-version")
	s.StringVar(&f.images, "images", string(policy.ImagesPull), "level kind: where the images of the workloads come from: pull, load or substitute")
	s.StringVar(&f.imageArchive, "image-archive", "", "level kind: `path` of a docker or OCI archive to load images from (default: the host's container engine)")
	s.StringVar(&f.imageMapping, "image-mapping", "", "level kind: YAML `file` with the image that stands in, by image or pattern (*), for --images substitute")
	s.StringArrayVar(&f.egress, "egress", nil, "level kind: a way out of the sandbox, `CIDR[:port][/protocol]`, IPv6 as [CIDR]:port; can be given several times")
	s.StringVar(&f.cronJobs, "cronjobs", "suspended", "level kind: restored CronJobs start suspended or as-is")
	s.DurationVar(&f.workloadsTimeout, "workloads-timeout", 5*time.Minute, "level kind: how long restored workloads may take to become ready")
	for flag, words := range map[string][]string{"images": {"pull", "load", "substitute"}, "cronjobs": {"suspended", "as-is"}} {
		_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // fails only for an unknown flag
	}
}

// fill writes what the flags say into a spec.
func (f *kindFlags) fill(s *policy.Spec) error {
	mode := policy.ImageMode(f.images)
	switch mode {
	case policy.ImagesPull, policy.ImagesLoad, policy.ImagesSubstitute:
	default:
		return cli.Usage("--images %q: must be pull, load or substitute", f.images)
	}
	switch {
	case mode == policy.ImagesSubstitute && f.imageMapping == "" && len(f.mapping) == 0:
		return cli.Usage("--images substitute needs --image-mapping")
	case mode != policy.ImagesSubstitute && f.imageMapping != "":
		return cli.Usage("--image-mapping goes with --images substitute")
	case mode == policy.ImagesPull && f.imageArchive != "":
		return cli.Usage("--image-archive goes with --images load or substitute")
	}
	jobs, ok := cronJobs[f.cronJobs]
	if !ok {
		return cli.Usage("--cronjobs %q: must be suspended or as-is", f.cronJobs)
	}
	if f.workloadsTimeout <= 0 {
		return cli.Usage("--workloads-timeout %s: must be longer than 0", f.workloadsTimeout)
	}
	s.Egress = f.ways
	for _, text := range f.egress {
		way, err := parseEgress(text)
		if err != nil {
			return cli.Usage("--egress %s: %w", text, err)
		}
		s.Egress = append(s.Egress, way)
	}
	mapping, err := readMapping(f.imageMapping)
	if err != nil {
		return err
	}
	if f.imageMapping == "" {
		mapping = f.mapping
	}
	s.KubernetesVersion, s.NodeImage, s.CronJobs = f.kubernetesVersion, f.nodeImage, jobs
	s.Images = policy.Images{Mode: mode, Archive: f.imageArchive, Mapping: mapping}
	s.Limits.WorkloadsReady.Duration = f.workloadsTimeout
	return nil
}

// parseEgress reads CIDR[:port][/protocol]. An address without a length is one
// address; IPv6 stands in brackets before a port.
func parseEgress(text string) (policy.Egress, error) {
	rest, protocol := cutProtocol(text)
	cidr, port, err := cutPort(rest)
	if err != nil {
		return policy.Egress{}, err
	}
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		address, err := netip.ParseAddr(cidr)
		if err != nil {
			return policy.Egress{}, fmt.Errorf("%q is no CIDR, such as 10.1.2.0/24, 10.1.2.3:443 or [fd00::]/64", cidr)
		}
		prefix = netip.PrefixFrom(address, address.BitLen())
	}
	return policy.Egress{CIDR: prefix.Masked().String(), Port: port, Protocol: protocol}, nil
}

// cutProtocol cuts /tcp or /udp off.
func cutProtocol(text string) (rest, protocol string) {
	for _, p := range []string{"TCP", "UDP"} {
		if i := len(text) - len(p) - 1; i > 0 && strings.EqualFold(text[i:], "/"+p) {
			return text[:i], p
		}
	}
	return text, ""
}

// cutPort cuts :port off and takes the brackets away.
func cutPort(text string) (cidr string, port int, err error) {
	cidr, number, given := text, "", false
	if inside, ok := strings.CutPrefix(text, "["); ok {
		address, after, closed := strings.Cut(inside, "]")
		if !closed {
			return "", 0, errors.New("the bracket is not closed")
		}
		var length string
		length, number, given = strings.Cut(after, ":")
		cidr = address + length
	} else if strings.Count(text, ":") == 1 {
		cidr, number, given = strings.Cut(text, ":")
	}
	if !given {
		return cidr, 0, nil
	}
	port, err = strconv.Atoi(number)
	if err != nil || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("%q is no port", number)
	}
	return cidr, port, nil
}

// readMapping reads a YAML file with one stand-in by image.
func readMapping(path string) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, cli.Usage("--image-mapping: %w", err)
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, maxMapping+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(raw) > maxMapping {
		return nil, cli.Usage("--image-mapping: %s is larger than %d bytes", path, maxMapping)
	}
	var mapping map[string]string
	if err := yaml.UnmarshalStrict(raw, &mapping); err != nil {
		return nil, cli.Usage("--image-mapping: %s must hold lines such as `docker.io/library/nginx:*: nginx:1.27`: %w", path, err)
	}
	if len(mapping) == 0 {
		return nil, cli.Usage("--image-mapping: %s names no image", path)
	}
	return mapping, nil
}
