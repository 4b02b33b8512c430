package kind

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

func testGate(t *testing.T, egress ...policy.Egress) gate {
	t.Helper()
	openings, err := egressMatches(egress)
	require.NoError(t, err)
	return gate{
		pods: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16"), netip.MustParsePrefix("fd00:10:244::/56")},
		own:  []netip.Addr{netip.MustParseAddr("172.18.0.2")}, egress: openings, mark: 0xabc1,
	}
}

// chains are the lines of each chain of a script, without white space around them.
func chains(script string) map[string][]string {
	out := map[string][]string{}
	var name string
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		if chain, ok := strings.CutPrefix(line, "chain "); ok {
			name = strings.TrimSuffix(chain, " {")
		} else if line == "}" {
			name = ""
		} else if name != "" {
			out[name] = append(out[name], line)
		}
	}
	return out
}

func TestEveryChainThatLeadsOutEndsWithARefusal(t *testing.T) {
	got := chains(testGate(t).rules(true))
	for chain, end := range map[string]string{"send": refuse, "forward": refuse, "receive": "drop", "leave": "drop"} {
		lines := got[chain]
		require.NotEmpty(t, lines, chain)
		assert.Equal(t, end, lines[len(lines)-1], chain)
	}
	assert.Contains(t, got["frame"][0], "policy drop")
	assert.Contains(t, got["frame"], "meta mark 0xabc1 accept")
}

func TestNothingButAnswersAndNeighboursLeavesWithoutAPolicy(t *testing.T) {
	leave := chains(testGate(t).rules(true))["leave"]
	assert.Equal(t, []string{
		"type filter hook postrouting priority 300; policy accept;",
		`oifname != "eth0" accept`,
		"ct direction reply goto pass",
		neighbours + " goto pass",
		"drop",
	}, leave)
}

func TestAPolicyOpensOneProtocolToOnePortOfARange(t *testing.T) {
	got := chains(testGate(t,
		policy.Egress{CIDR: "203.0.113.7/24", Port: 443},
		policy.Egress{CIDR: "2001:db8::/32", Port: 53, Protocol: "UDP"},
		policy.Egress{CIDR: "198.51.100.1/32"},
	).rules(true))
	for _, chain := range []string{"send", "forward", "leave"} {
		verdict := " accept"
		if chain == "leave" {
			verdict = " goto pass"
		}
		assert.Subset(t, got[chain], []string{
			"ip daddr 203.0.113.0/24 tcp dport 443" + verdict,
			"ip6 daddr 2001:db8::/32 udp dport 53" + verdict,
			"ip daddr 198.51.100.1/32 meta l4proto tcp" + verdict,
		}, chain)
	}
}

func TestAnOpeningThatIsNoneIsRefused(t *testing.T) {
	for _, e := range []policy.Egress{{CIDR: "example.com"}, {CIDR: "10.0.0.1"}, {CIDR: "10.0.0.0/8", Protocol: "ICMP"}, {CIDR: "10.0.0.0/8", Protocol: "tcp accept; #"}} {
		_, err := egressMatches([]policy.Egress{e})
		assert.ErrorContains(t, err, "egress", "%v", e)
	}
}

func TestTheEnginesDNSIsRefusedBeforeWhatIsOnTheNodeIsAllowed(t *testing.T) {
	got := chains(testGate(t).rules(true))
	for chain, allowed := range map[string]string{"send": "fib daddr type local accept", "receive": `iifname != "eth0" accept`} {
		text := strings.Join(got[chain], "\n")
		dns, local := strings.Index(text, refuseEngineDNS), strings.Index(text, allowed)
		require.NotEqual(t, -1, dns, chain)
		assert.Less(t, dns, local, chain)
	}
}

func TestAKernelWithoutAHookForFramesGetsAllOtherRules(t *testing.T) {
	with, without := chains(testGate(t).rules(true)), chains(testGate(t).rules(false))
	delete(with, "frame")
	assert.Equal(t, with, without)
}

func TestTheAddressesOfPodsAreInWhatKindLeavesOnTheNode(t *testing.T) {
	got, err := podSubnets(`apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
networking:
  podSubnet: 10.244.0.0/16,fd00:10:244::/56
  serviceSubnet: 10.96.0.0/16
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: InitConfiguration
`)
	require.NoError(t, err)
	assert.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16"), netip.MustParsePrefix("fd00:10:244::/56")}, got)
	for _, bad := range []string{"", "kind: InitConfiguration", "kind: ClusterConfiguration", "kind: [", "kind: ClusterConfiguration\nnetworking: {podSubnet: x}"} {
		_, err := podSubnets(bad)
		assert.Error(t, err, "%q", bad)
	}
}

func TestTheNodesOwnIPv4AddressesAreTold(t *testing.T) {
	got, err := ownIPv4(`[{"ifname":"eth0","addr_info":[{"family":"inet","local":"172.18.0.2"},{"family":"inet6","local":"fe80::1"}]}]`)
	require.NoError(t, err)
	assert.Equal(t, []netip.Addr{netip.MustParseAddr("172.18.0.2")}, got)
	_, err = ownIPv4("eth0: no such device")
	assert.Error(t, err)
}

func TestOnlyTheGatesTablesAreCompared(t *testing.T) {
	const gate = "table inet lifeboat_gate {\n\tchain leave {\n\t\tdrop\n\t}\n}"
	const frames = "table netdev lifeboat_gate {\n\tchain frame {\n\t}\n}"
	others := "table ip nat {\n\tchain X {\n\t\taccept\n\t}\n}\n"
	assert.Equal(t, gate+"\n"+frames, gateOf(others+gate+"\n"+others+frames))
	assert.NotEqual(t, gate, gateOf(strings.Replace(gate, "drop", "accept", 1)))
	assert.Empty(t, gateOf(others))
}
