//go:build e2e && kind

package kind_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/verifier/sandbox/kind"
)

// BenchmarkStart measures how long a sandbox takes to become usable, by what it is
// busy with, and how long it takes to be gone.
func BenchmarkStart(b *testing.B) {
	s := &kind.Sandbox{Choice: kind.Choice{KubernetesVersion: nodeVersion}, Dir: b.TempDir()}
	seconds := map[string]float64{}
	phase, since := "", time.Now()
	s.Progress = func(next string) {
		seconds[phase] += time.Since(since).Seconds()
		phase, since = next, time.Now()
	}
	var down time.Duration
	for b.Loop() {
		phase, since = "", time.Now()
		_, err := s.Up(b.Context())
		s.Progress("")
		require.NoError(b, err)
		began := time.Now()
		require.NoError(b, s.Down(b.Context()))
		down += time.Since(began)
	}
	for phase, metric := range map[string]string{
		"Preparing nodes":                         "s-node",
		"Starting control-plane":                  "s-kubeadm",
		"Installing StorageClass":                 "s-storage",
		"waiting until the cluster's DNS answers": "s-dns",
	} {
		b.ReportMetric(seconds[phase]/float64(b.N), metric)
	}
	total := 0.0
	for phase, s := range seconds {
		if strings.TrimSpace(phase) != "" {
			total += s
		}
	}
	b.ReportMetric(total/float64(b.N), "s-up")
	b.ReportMetric(down.Seconds()/float64(b.N), "s-down")
	b.ReportMetric(0, "ns/op")
}
