package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox/kind"
)

// maxMapping bounds the file of --image-mapping, in bytes.
const maxMapping = 1 << 20

// newSandbox makes the sandbox of the level, nil if it needs none. controlPlane is the path
// of lifeboat-controlplane, "" to look for it; pool may be nil.
func newSandbox(spec policy.Spec, source, controlPlane string, pool *kind.Pool, progress func(string)) sandbox.Sandbox {
	switch spec.Level {
	case report.LevelControlPlane:
		return &sandbox.ControlPlane{Binary: controlPlane}
	case report.LevelKind:
		k := kind.New(spec, source)
		k.Pool, k.Progress = pool, progress
		return k
	}
	return nil
}

// parseEgresses reads the values of --egress.
func parseEgresses(texts []string) ([]policy.Egress, error) {
	out := make([]policy.Egress, len(texts))
	for i, text := range texts {
		var err error
		if out[i], err = parseEgress(text); err != nil {
			return nil, cli.Usage("--egress %s: %w", text, err)
		}
	}
	return out, nil
}

// parseEgress reads CIDR[:port][/protocol]. An address without a length is one
// address; before a port, IPv6 is in brackets.
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
			return policy.Egress{}, fmt.Errorf("%q is not a CIDR such as 10.1.2.0/24, 10.1.2.3:443 or [fd00::]/64", cidr)
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
		return "", 0, fmt.Errorf("%q is not a port", number)
	}
	return cidr, port, nil
}

// readMapping reads a YAML file with the substitute of each image.
func readMapping(path string) (map[string]string, error) {
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
