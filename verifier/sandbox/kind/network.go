package kind

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

// network is the one that kind puts all clusters of a host into, unless its own
// variable names another. kind never removes it.
func network() string { return cmp.Or(os.Getenv("KIND_EXPERIMENTAL_DOCKER_NETWORK"), "kind") }

const (
	// networkLabel marks a network that was created for a sandbox. We remove such a
	// network when nothing uses it.
	networkLabel = "dev.lifeboat.sandbox"
	// networkIPv6 is the range kind itself takes first for a network of this name.
	networkIPv6 = "fc00:f853:ccd:e793::/64"
)

// ensureNetwork creates kind's network, as kind does, if it does not exist, and
// reports whether it has IPv6.
func ensureNetwork(ctx context.Context) (ipv6 bool, err error) {
	if ipv6, err = hasIPv6(ctx); err == nil {
		return ipv6, nil
	}
	args := []string{"network", "create", "--driver", "bridge", "--label", networkLabel + "=true", "--opt", "com.docker.network.bridge.enable_ip_masquerade=true"}
	if mtu, err := docker(ctx, nil, "network", "inspect", "bridge", "--format", `{{index .Options "com.docker.network.driver.mtu"}}`); err == nil && mtu != "" {
		args = append(args, "--opt", "com.docker.network.driver.mtu="+mtu)
	}
	_, err = docker(ctx, nil, append(args, "--ipv6", "--subnet", networkIPv6, network())...)
	if err == nil {
		return true, nil
	}
	// Of two that make it at once one finds the range or the name taken, possibly
	// before the network of the other can be seen. Making it then without IPv6 would
	// give it a twin.
	if said := words(err); strings.Contains(said, "overlap") || strings.Contains(said, "already exists") {
		for until := time.Now().Add(networkPatience); time.Now().Before(until); {
			if ipv6, err := hasIPv6(ctx); err == nil {
				return ipv6, nil
			}
			if !cluster.Sleep(ctx, again) {
				return false, context.Cause(ctx)
			}
		}
	}
	if _, err = docker(ctx, nil, append(args, network())...); err == nil {
		return false, nil
	}
	if ipv6, seen := hasIPv6(ctx); seen == nil {
		return ipv6, nil
	}
	return false, fmt.Errorf("create the network of the node: %w", err)
}

// networkPatience is how long a network that another process created first may take
// to appear.
const networkPatience = 5 * time.Second

// networkGone reports whether a node could not be started because there was no
// network any more.
func networkGone(err error) bool {
	var failed *sandbox.LogError
	return errors.As(err, &failed) && strings.Contains(failed.Log, "network "+network()+" not found")
}

func hasIPv6(ctx context.Context) (bool, error) {
	answer, err := docker(ctx, nil, "network", "inspect", network(), "--format", "{{.EnableIPv6}}")
	return answer == "true", err
}

// removeNetwork removes kind's network if it was made for a sandbox and no
// container, running or not, is attached to it.
func removeNetwork(ctx context.Context) error {
	ours, err := docker(ctx, nil, "network", "ls", "--quiet", "--no-trunc", "--filter", "label="+networkLabel, "--filter", "name=^"+network()+"$")
	if err != nil || ours == "" {
		return err
	}
	users, err := docker(ctx, nil, "ps", "--all", "--quiet", "--filter", "network="+network())
	if err != nil || users != "" {
		return err
	}
	for _, id := range lines(ours) {
		_, err := docker(ctx, nil, "network", "rm", id)
		if said := words(err); strings.Contains(said, "has active endpoints") || strings.Contains(strings.ToLower(said), "no such network") {
			continue // another process uses it, or was faster
		}
		if err != nil {
			return err
		}
	}
	return nil
}
