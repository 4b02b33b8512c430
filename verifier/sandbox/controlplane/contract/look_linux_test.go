package contract

import (
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestNothingIsWrittenOutsideTheDataDirectory(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(t.TempDir(), "data")
	const certificates = "/var/run/kubernetes" // where kube-apiserver would put its own
	if _, err := os.Stat(certificates); err == nil {
		t.Fatalf("%s is there already; remove it, or this test proves nothing", certificates)
	}
	c := launch(t, []string{"TMPDIR=" + outside, "HOME=" + outside, "XDG_CACHE_HOME=" + outside}, "--data-dir", dir, "--controllers", "*")
	if c.Event != "ready" {
		t.Fatal(c.Error)
	}
	for _, pid := range append(c.children(t), c.cmd.Process.Pid) {
		for _, path := range openFiles(t, pid) {
			if !strings.HasPrefix(path, dir+"/") && path != dir && !strings.HasPrefix(path, "/dev/") && !strings.HasPrefix(path, "/proc/") && !strings.HasPrefix(path, "/sys/") {
				t.Errorf("process %d has %s open", pid, path)
			}
		}
	}
	if err := c.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	c.waitGone(t)
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
	for _, path := range []string{certificates, "/usr/libexec/kubernetes"} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s was made", path)
		}
	}
}

func TestOnlyThisUserCanReachTheStore(t *testing.T) {
	c := start(t)
	info, err := os.Stat(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("data directory has mode %v", info.Mode())
	}
	for _, name := range []string{"kubeconfig", "ca.key", "sa.key", "apiserver.key", "controller-manager.kubeconfig"} {
		info, err := os.Stat(filepath.Join(c.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	var ports []string
	for _, pid := range append(c.children(t), c.cmd.Process.Pid) {
		ports = append(ports, listening(t, pid)...)
	}
	if want := strings.TrimPrefix(c.Server, "https://"); len(ports) != 1 || ports[0] != want {
		t.Errorf("listens on %v, want only the API server's %s", ports, want)
	}
}

// openFiles are the paths a process has open, its binary left out.
func openFiles(t *testing.T, pid int) []string {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, link := range links {
		if path, err := os.Readlink(link); err == nil && strings.HasPrefix(path, "/") {
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		t.Fatalf("found no open file of process %d", pid)
	}
	return paths
}

// listening are the TCP addresses a process accepts connections on.
func listening(t *testing.T, pid int) []string {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	var inodes []string
	for _, link := range links {
		if path, err := os.Readlink(link); err == nil && strings.HasPrefix(path, "socket:[") {
			inodes = append(inodes, strings.TrimSuffix(strings.TrimPrefix(path, "socket:["), "]"))
		}
	}
	var addresses []string
	for _, table := range []string{"tcp", "tcp6"} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			fields := strings.Fields(line)
			if len(fields) < 10 || fields[3] != "0A" || !slices.Contains(inodes, fields[9]) {
				continue
			}
			host, port, _ := strings.Cut(fields[1], ":")
			ip, _ := hex.DecodeString(host)
			slices.Reverse(ip) // an IPv4 address is written least byte first
			number, _ := hex.DecodeString(port)
			addresses = append(addresses, net.JoinHostPort(net.IP(ip).String(), fmt.Sprint(int(number[0])<<8|int(number[1]))))
		}
	}
	return addresses
}
