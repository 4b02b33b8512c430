//go:build e2e && kind

package kind_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

// Addresses of the world, of ranges that are not in use (RFC 5737, RFC 3849), and
// that of clouds' metadata. The world is a container beside the sandbox, and the
// node's way to it.
const (
	internetIPv4 = "198.51.100.7"
	internetIPv6 = "2001:db8::7"
	allowedIPv4  = "198.51.100.8"
	allowedIPv6  = "2001:db8::8"
	metadata     = "169.254.169.254"
)

// dialled is what the program test/rig/workload prints about an attempt.
type dialled struct {
	To, Error, Got string
	Seconds        float64
}

// reached are the targets that a pod reaches, and the longest time that one took.
func reached(t *testing.T, node, pod string, targets []string) (reached []string, longest float64) {
	t.Helper()
	query := url.Values{"to": targets}.Encode()
	answer := kubectl(t, node, "", "get", "--raw", "/api/v1/namespaces/default/pods/"+pod+"/proxy/dial?"+query)
	var results []dialled
	require.NoError(t, json.Unmarshal([]byte(answer), &results), answer)
	require.Len(t, results, len(targets))
	for _, r := range results {
		if r.Error == "" {
			reached = append(reached, r.To)
		}
		longest = max(longest, r.Seconds)
	}
	return reached, longest
}

// settle waits until a pod reaches all targets: kube-proxy hears of a Service, and
// a pod has its IPv6 address, some time after the pod is ready.
func settle(t *testing.T, node, pod string, targets []string) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); ; {
		got, _ := reached(t, node, pod, targets)
		if len(got) == len(targets) {
			return
		}
		require.True(t, time.Now().Before(limit), "%s reaches only %v", pod, got)
	}
}

const pods = `
apiVersion: v1
kind: Pod
metadata: {name: inner, labels: {app: inner}}
spec:
  containers: [{name: main, image: %[1]s, imagePullPolicy: Never, args: [serve, ":8080"], readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}}]
---
apiVersion: v1
kind: Pod
metadata: {name: outer, labels: {app: outer}}
spec:
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  containers: [{name: main, image: %[1]s, imagePullPolicy: Never, args: [serve, ":18080"], readinessProbe: {httpGet: {port: 18080}, periodSeconds: 1}}]
---
apiVersion: v1
kind: Service
metadata: {name: inner}
spec:
  ipFamilyPolicy: PreferDualStack
  selector: {app: inner}
  ports: [{name: tcp, port: 80, targetPort: 8080}, {name: udp, port: 80, protocol: UDP, targetPort: 8080}]
---
# A Service that leads out of the cluster.
apiVersion: v1
kind: Service
metadata: {name: leak}
spec: {ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: leak, labels: {kubernetes.io/service-name: leak}}
addressType: IPv4
ports: [{port: 8080}]
endpoints: [{addresses: [%[2]s]}]
`

// world is what is outside of a sandbox.
type world struct {
	container  string
	ipv4, ipv6 string // of the container, on the network of the nodes
	gateway    string // the host, on that network
	gateway6   string
	port       int // of listeners on the host
	frames     atomic.Int64
}

// newWorld starts a container beside the sandbox that has all addresses of the
// world, listeners on the host, and leads the node to them.
func newWorld(t *testing.T, image, node string) *world {
	t.Helper()
	w := &world{container: unique("lifeboat-test-world")}
	docker(t, "run", "--detach", "--network", "kind", "--name", w.container, image, "sleep", "1h")
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "--force", "--volumes", w.container).Run() })
	found := strings.Fields(docker(t, "inspect", "--format",
		"{{with .NetworkSettings.Networks.kind}}{{.IPAddress}} {{.GlobalIPv6Address}} {{.Gateway}} {{.IPv6Gateway}}{{end}}", w.container))
	require.Len(t, found, 4, "the network of the nodes has both families: %v", found)
	w.ipv4, w.ipv6, w.gateway, w.gateway6 = found[0], found[1], found[2], found[3]
	for _, address := range []string{internetIPv4, internetIPv6, allowedIPv4, allowedIPv6, metadata} {
		docker(t, "run", "--rm", "--network", "container:"+w.container, "--cap-add", "NET_ADMIN", "--entrypoint", "ip", nodeImage, "address", "add", address, "dev", "lo")
		via := w.ipv4
		if strings.Contains(address, ":") {
			via = w.ipv6
		}
		docker(t, "exec", node, "ip", "route", "add", address, "via", via)
	}
	docker(t, "exec", "--detach", w.container, "/workload", "serve", ":8080")
	w.listen(t)
	return w
}

// listen listens on the host, on all addresses, and counts frames.
func (w *world) listen(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	w.port = l.Addr().(*net.TCPAddr).Port
	packets, err := net.ListenPacket("udp", fmt.Sprintf(":%d", w.port))
	require.NoError(t, err)
	done := make(chan struct{})
	t.Cleanup(func() { packets.Close(); <-done })
	go func() {
		defer close(done)
		buffer := make([]byte, 1500)
		for {
			n, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			if string(buffer[:n]) == "frame" {
				w.frames.Add(1)
			}
			_, _ = packets.WriteTo(buffer[:n], from) // an echo that is lost counts as not reached
		}
	}()
}

func on(protocol, host string, port int) string {
	return fmt.Sprintf("%s://%s", protocol, net.JoinHostPort(host, fmt.Sprint(port)))
}

// outside are the targets that only an open sandbox reaches.
func (w *world) outside() []string {
	var out []string
	for _, protocol := range []string{"tcp", "udp"} {
		for _, host := range []string{w.gateway, w.gateway6} {
			out = append(out, on(protocol, host, w.port))
		}
		for _, host := range []string{w.ipv4, w.ipv6, internetIPv4, internetIPv6, metadata} {
			out = append(out, on(protocol, host, 8080))
		}
	}
	return append(out, "tcp://leak.default.svc.cluster.local:80",
		// What the policy opens is one protocol to one port.
		on("udp", allowedIPv4, 8080), on("tcp", allowedIPv6, 8080))
}

func TestAClosedSandboxReachesItselfAndWhatThePolicyNamesAndNothingElse(t *testing.T) {
	img := rig.WorkloadImage(t, unique("lifeboat.test/workload")+":e2e")
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "--force", img).Run() })
	s := newSandbox(t)
	s.Images = policy.Images{Mode: policy.ImagesLoad}
	s.Egress = []policy.Egress{{CIDR: allowedIPv4 + "/32", Port: 8080}, {CIDR: allowedIPv6 + "/128", Port: 8080, Protocol: "UDP"}}
	c := up(t, s)
	node := nodeOf(t, s.Dir)
	require.ErrorContains(t, s.Contained(t.Context()), "never closed")
	missing, err := s.Provide(t.Context(), []string{img})
	require.NoError(t, err)
	require.Empty(t, missing)
	w := newWorld(t, img, node)

	kubectl(t, node, fmt.Sprintf(pods, img, internetIPv4), "apply", "--filename", "-")
	kubectl(t, node, "", "wait", "pod", "--all", "--for", "condition=Ready", "--timeout", "60s")
	addresses := strings.Fields(kubectl(t, node, "", "get", "pod/inner", "service/inner", "--output",
		"jsonpath={.items[0].status.podIPs[*].ip} {.items[1].spec.clusterIPs[*]}"))
	require.Len(t, addresses, 4, "a pod and a Service have both families")
	inside := []string{"dns://inner.default.svc.cluster.local", "tcp://kubernetes.default.svc.cluster.local:443", "tcp://inner.default.svc.cluster.local:80"}
	for i, host := range addresses {
		port := 8080
		if i > 1 {
			port = 80
		}
		inside = append(inside, on("tcp", host, port), on("udp", host, port))
	}
	named := []string{on("tcp", allowedIPv4, 8080), on("udp", allowedIPv6, 8080)}
	engineDNS := "tcp://127.0.0.11:53"
	frame := on("frame", w.gateway, w.port)
	fromNode := net.JoinHostPort(strings.TrimSpace(docker(t, "inspect", "--format", "{{.NetworkSettings.Networks.kind.IPAddress}}", node)), "18080")
	comeIn := func() error {
		return exec.Command("docker", "exec", w.container, "/workload", "dial", "tcp://"+fromNode, "udp://"+fromNode).Run()
	}

	// Open: the tests below would pass if nothing worked at all.
	for _, pod := range []string{"inner:8080", "outer:18080"} {
		settle(t, node, pod, slices.Concat(inside, named, w.outside()))
	}
	got, _ := reached(t, node, "outer:18080", []string{engineDNS, frame})
	assert.ElementsMatch(t, []string{engineDNS, frame}, got, "open")
	require.Eventually(t, func() bool { return w.frames.Load() == 1 }, 5*time.Second, 10*time.Millisecond, "a frame is seen while the sandbox is open")
	require.NoError(t, comeIn(), "open")

	began := time.Now()
	require.NoError(t, s.Contain(t.Context()))
	t.Logf("%5.1fs closed", time.Since(began).Seconds())

	for _, pod := range []string{"inner:8080", "outer:18080"} {
		got, longest := reached(t, node, pod, slices.Concat(inside, named, w.outside()))
		assert.ElementsMatch(t, slices.Concat(inside, named), got, "%s, closed", pod)
		assert.Less(t, longest, 1.0, "what is refused is refused at once")
		got, longest = reached(t, node, pod, []string{"dns://example.com"})
		assert.Empty(t, got, "a name of the world")
		assert.Less(t, longest, 1.0, "it is refused at once")
	}
	got, _ = reached(t, node, "outer:18080", []string{engineDNS})
	assert.Empty(t, got, "the engine's DNS asks the world")
	_, _ = reached(t, node, "outer:18080", []string{frame})
	assert.Error(t, comeIn(), "others reach the sandbox")

	// Pods that start now are closed in too, and the host still reaches the API.
	kubectl(t, node, "", "run", "late", "--image", img, "--image-pull-policy", "Never", "--", "serve", ":8080")
	kubectl(t, node, "", "wait", "pod/late", "--for", "condition=Ready", "--timeout", "60s")
	settle(t, node, "late:8080", inside)
	got, _ = reached(t, node, "late:8080", slices.Concat(inside, w.outside()))
	assert.ElementsMatch(t, inside, got)
	server, err := url.Parse(c.Server)
	require.NoError(t, err)
	conn, err := net.DialTimeout("tcp", server.Host, 5*time.Second)
	require.NoError(t, err, "the host reaches the API server")
	conn.Close()

	// Neighbours are found again while the sandbox is closed.
	docker(t, "exec", node, "ip", "neighbour", "flush", "dev", "eth0")
	got, _ = reached(t, node, "outer:18080", named)
	assert.ElementsMatch(t, named, got)
	assert.EqualValues(t, 1, w.frames.Load(), "a frame has left a closed sandbox")

	require.NoError(t, s.Contained(t.Context()))
	docker(t, "exec", node, "nft", "insert", "rule", "inet", "lifeboat_gate", "leave", "accept")
	assert.ErrorContains(t, s.Contained(t.Context()), "not closed as it was")
	require.NoError(t, s.Contain(t.Context()), "it can be closed again")
	require.NoError(t, s.Contained(t.Context()))
	docker(t, "exec", node, "nft", "flush", "ruleset")
	assert.ErrorContains(t, s.Contained(t.Context()), "not closed as it was")
}
