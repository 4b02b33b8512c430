package rig

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

// stopLimit bounds the clean-up of whatever a test started.
const stopLimit = 30 * time.Second

// ControlPlane starts a Kubernetes control plane for one test and stops it when
// the test is over. By default it runs the controllers a restore needs;
// configure may change that:
//
//	cluster := rig.ControlPlane(t, func(c *sandbox.ControlPlane) { c.Controllers = "none" })
//
// The binary is that of LIFEBOAT_CONTROLPLANE, or the one `make controlplane`
// builds.
func ControlPlane(t testing.TB, configure ...func(*sandbox.ControlPlane)) sandbox.Cluster {
	t.Helper()
	c := &sandbox.ControlPlane{Binary: ControlPlaneBinary(t)}
	for _, set := range configure {
		set(c)
	}
	cluster, err := c.Up(t.Context())
	if err != nil {
		t.Fatalf("start a control plane: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), stopLimit)
		defer cancel()
		if err := c.Down(ctx); err != nil {
			t.Errorf("stop the control plane: %v", err)
		}
	})
	return cluster
}

// ControlPlaneBinary is the lifeboat-controlplane that tests start.
func ControlPlaneBinary(t testing.TB) string {
	t.Helper()
	explicit := filepath.Join(repoRoot(t), "bin", "lifeboat-controlplane")
	if os.Getenv("LIFEBOAT_CONTROLPLANE") != "" {
		explicit = ""
	}
	binary, err := sandbox.FindControlPlane(explicit)
	if err != nil {
		t.Fatalf("this test needs a control plane: %v", err)
	}
	return binary
}
