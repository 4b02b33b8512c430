package kind

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

// uplink is the one interface that the engine gives to a node. Whatever leaves
// the sandbox leaves there.
const uplink = "eth0"

// errOpen is why a drill cannot trust its sandbox.
var errOpen = errors.New("the sandbox is not closed as it was: a workload with the right to do so has changed the packet filter of its node")

// Contain closes the sandbox with the packet filter of its node: from then on
// nothing leaves the node and nothing comes in, except the API server's port and
// what Egress names. It rejects packets instead of dropping them, so that attempts
// fail at once. Names outside the cluster no longer resolve, even with Egress, and
// the node pulls no images.
//
// Frames that are written to the wire past the packet filter are dropped too on
// kernels from 5.16 on; older ones have no hook for that.
func (s *Sandbox) Contain(ctx context.Context) error {
	n, err := s.current()
	if err != nil {
		return err
	}
	egress, err := egressMatches(s.Egress)
	if err != nil {
		return err
	}
	g, err := n.gather(ctx)
	if err != nil {
		return fmt.Errorf("close the sandbox: %w", err)
	}
	g.egress = egress
	closed, err := n.close(ctx, g)
	if err != nil {
		return fmt.Errorf("close the sandbox: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n.closed = closed
	return nil
}

// Contained asks whether the packet filter is as Contain left it.
func (s *Sandbox) Contained(ctx context.Context) error {
	n, err := s.current()
	if err != nil {
		return err
	}
	s.mu.Lock()
	closed := n.closed
	s.mu.Unlock()
	if closed == "" {
		return errors.New("the sandbox was never closed")
	}
	now, err := n.exec(ctx, nil, listGate[:]...)
	if err != nil {
		return fmt.Errorf("%w: %w", errOpen, err)
	}
	if now = gateOf(now); now != closed {
		return errOpen
	}
	return nil
}

// gather finds out what the rules are about.
func (n *node) gather(ctx context.Context) (gate, error) {
	configuration, err := n.exec(ctx, nil, "cat", "/kind/kubeadm.conf")
	if err != nil {
		return gate{}, err
	}
	pods, err := podSubnets(configuration)
	if err != nil {
		return gate{}, err
	}
	addresses, err := n.exec(ctx, nil, "ip", "-json", "address", "show", "dev", uplink)
	if err != nil {
		return gate{}, err
	}
	own, err := ownIPv4(addresses)
	if err != nil {
		return gate{}, err
	}
	// Random, because a workload that may write frames may also mark them.
	mark := make([]byte, 4)
	rand.Read(mark)
	return gate{pods: pods, own: own, mark: binary.BigEndian.Uint32(mark) | 1}, nil
}

// podSubnets are those in the configuration of kubeadm that kind leaves on every
// node.
func podSubnets(configuration string) ([]netip.Prefix, error) {
	for _, document := range strings.Split(configuration, "\n---") {
		var c struct {
			Kind       string `json:"kind"`
			Networking struct {
				PodSubnet string `json:"podSubnet"`
			} `json:"networking"`
		}
		if err := yaml.Unmarshal([]byte(document), &c); err != nil {
			return nil, fmt.Errorf("kubeadm's configuration: %w", err)
		}
		if c.Kind != "ClusterConfiguration" {
			continue
		}
		var out []netip.Prefix
		for _, subnet := range strings.Split(c.Networking.PodSubnet, ",") {
			p, err := netip.ParsePrefix(subnet)
			if err != nil {
				return nil, fmt.Errorf("kubeadm's configuration, podSubnet: %w", err)
			}
			out = append(out, p)
		}
		return out, nil
	}
	return nil, errors.New("kubeadm's configuration does not say which addresses pods get")
}

// ownIPv4 are the IPv4 addresses in what `ip -json address` says.
func ownIPv4(answer string) ([]netip.Addr, error) {
	var interfaces []struct {
		Info []struct {
			Local netip.Addr `json:"local"`
		} `json:"addr_info"`
	}
	if err := json.Unmarshal([]byte(answer), &interfaces); err != nil {
		return nil, fmt.Errorf("addresses of the node: %w", err)
	}
	var out []netip.Addr
	for _, i := range interfaces {
		for _, a := range i.Info {
			if a.Local.Is4() {
				out = append(out, a.Local)
			}
		}
	}
	return out, nil
}

// close sets the rules and returns how the node lists them.
func (n *node) close(ctx context.Context, g gate) (string, error) {
	_, err := n.exec(ctx, strings.NewReader(g.rules(true)), "nft", "--file", "-")
	if said := words(err); strings.Contains(said, "not supported") || strings.Contains(said, "No such file or directory") {
		// A kernel without the hook for frames: all else is as good without.
		_, err = n.exec(ctx, strings.NewReader(g.rules(false)), "nft", "--file", "-")
	}
	if strings.Contains(words(err), "executable file not found") {
		return "", fmt.Errorf("the node image %s has no nft: take one that was made for kind 0.27 or newer, or make one with `make node-image`: %w", n.image, err)
	}
	if err != nil {
		return "", err
	}
	// The kernel sends one refusal a second to the same pod, and lets it wait for
	// the others.
	if _, err := n.exec(ctx, nil, "sh", "-c", unlimitRefusals); err != nil {
		return "", err
	}
	listed, err := n.exec(ctx, nil, listGate[:]...)
	if err != nil {
		return "", err
	}
	if listed = gateOf(listed); listed == "" {
		return "", errors.New("the node does not list the rules it was given")
	}
	return listed, nil
}

// unlimitRefusals is for sh. A node may have no IPv6.
const unlimitRefusals = `for f in /proc/sys/net/ipv4/icmp_ratelimit /proc/sys/net/ipv6/icmp/ratelimit; do [ ! -e $f ] || echo 0 > $f || exit; done`

const gateTable = "lifeboat_gate"

// listGate lists the rules of the node. Those of others are there too; see gateOf.
var listGate = [...]string{"nft", "--stateless", "list", "ruleset"}

// gateOf are the tables of the gate in a list of rules.
func gateOf(ruleset string) string {
	var b strings.Builder
	in := false
	for line := range strings.Lines(ruleset + "\n") {
		if strings.HasPrefix(line, "table ") {
			f := strings.Fields(line)
			in = len(f) > 2 && f[2] == gateTable
		}
		if in {
			b.WriteString(line)
		}
	}
	return strings.TrimSpace(b.String())
}

// gate is what the rules depend on.
type gate struct {
	pods   []netip.Prefix
	own    []netip.Addr // IPv4 addresses of the node
	egress []string     // openings of the policy, in nft's words
	mark   uint32       // of packets that may leave
}

// rules are a script for nft that sets all rules at once, in place of those of an
// earlier one. frames reports whether the kernel has a hook for frames.
//
// The chain leave decides, after every translation of addresses: it lets the
// openings out, and marks them. send and forward decide the same earlier, where a
// packet can still be rejected with an answer; frame drops what reaches the wire in
// any other way.
func (g gate) rules(frames bool) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	for _, family := range []string{"inet", "netdev"} {
		if family == "netdev" && !frames {
			continue
		}
		say("table %s %s", family, gateTable) // so that there is one to delete
		say("delete table %s %s", family, gateTable)
	}
	say("table inet %s {", gateTable)
	say("  chain send {")
	say("    type filter hook output priority 10; policy accept;")
	say("    %s", refuseEngineDNS)
	say("    fib daddr type local accept")
	for _, p := range g.pods {
		say("    %s daddr %s accept", ip(p), p)
	}
	for _, o := range g.openings() {
		say("    %s accept", o)
	}
	say("    %s", refuseTCP)
	say("    %s", refuse)
	say("  }")

	say("  chain forward {")
	say("    type filter hook forward priority 10; policy accept;")
	say("    iifname %q ct direction reply accept", uplink)
	say("    iifname %q ct state related accept", uplink)
	say("    iifname %q drop", uplink)
	say("    oifname != %q accept", uplink)
	for _, o := range g.openings() {
		say("    %s accept", o)
	}
	say("    %s", refuseTCP)
	say("    %s", refuse)
	say("  }")

	say("  chain receive {")
	say("    type filter hook input priority 10; policy accept;")
	say("    %s", refuseEngineDNS)
	say("    iifname != %q accept", uplink)
	say("    ct direction reply accept")
	say("    ct state related accept")
	say("    %s accept", neighbours)
	say("    tcp dport %d accept", apiServerPort)
	say("    drop")
	say("  }")

	say("  chain pass {")
	say("    meta mark set %#x", g.mark)
	say("    accept")
	say("  }")
	say("  chain leave {")
	say("    type filter hook postrouting priority 300; policy accept;")
	say("    oifname != %q accept", uplink)
	for _, o := range g.openings() {
		say("    %s goto pass", o)
	}
	say("    drop")
	say("  }")
	say("}")
	if !frames {
		return b.String()
	}

	say("table netdev %s {", gateTable)
	say("  chain frame {")
	say("    type filter hook egress device %q priority 0; policy drop;", uplink)
	say("    meta mark %#x accept", g.mark)
	for _, a := range g.own { // the kernel's own, which asks where the answers go
		say("    arp saddr ip %s accept", a)
	}
	say("  }")
	say("}")
	return b.String()
}

const (
	// Rejections are answers that programs understand: dropped packets make them
	// wait for their timeout.
	refuseTCP = "meta l4proto tcp reject with tcp reset"
	refuse    = "reject with icmpx type admin-prohibited"
	// The engine's own DNS answers inside the node's network and asks outside of
	// it, so access to it is access to the outside.
	refuseEngineDNS = "ip daddr 127.0.0.11 " + refuse
	neighbours      = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }"

	apiServerPort = 6443 // of every node that kind makes
)

// openings match what may leave: answers of the API server, what IPv6 needs to find
// a neighbour, and what egress names.
func (g gate) openings() []string {
	return append([]string{"ct direction reply", neighbours}, g.egress...)
}

// egressMatches are the openings of a policy in nft's words.
func egressMatches(egress []policy.Egress) ([]string, error) {
	var out []string
	for _, e := range egress {
		to, err := netip.ParsePrefix(e.CIDR)
		if err != nil {
			return nil, fmt.Errorf("egress: %w", err)
		}
		protocol := strings.ToLower(e.Protocol)
		if protocol == "" {
			protocol = "tcp"
		}
		if protocol != "tcp" && protocol != "udp" {
			return nil, fmt.Errorf("egress to %s: protocol %q is neither TCP nor UDP", e.CIDR, e.Protocol)
		}
		match := fmt.Sprintf("%s daddr %s ", ip(to), to.Masked())
		if e.Port == 0 {
			match += "meta l4proto " + protocol
		} else {
			match += fmt.Sprintf("%s dport %d", protocol, e.Port)
		}
		out = append(out, match)
	}
	return out, nil
}

// ip is nft's word for the family of a prefix.
func ip(p netip.Prefix) string {
	if p.Addr().Is4() {
		return "ip"
	}
	return "ip6"
}
