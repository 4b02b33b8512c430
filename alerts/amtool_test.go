//go:build e2e

package alerts_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/test/rig"
)

const alertmanagerConfig = "alertmanager.yml"

func TestAlertmanagerTakesTheConfiguration(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), rig.Amtool(t), "check-config", alertmanagerConfig).CombinedOutput()
	require.NoError(t, err, string(out))
}

// Each alert must reach a receiver, by its severity.
func TestEveryAlertIsRoutedByItsSeverity(t *testing.T) {
	receivers := map[string]string{
		"critical": "lifeboat-page", "warning": "lifeboat-ticket", "info": "lifeboat-digest", "none": "lifeboat-heartbeat",
	}
	amtool := rig.Amtool(t)
	for _, r := range rules(t) {
		out, err := exec.CommandContext(t.Context(), amtool, "config", "routes", "test", "--config.file="+alertmanagerConfig,
			"alertname="+r.Alert, "severity="+r.Labels["severity"], "cluster=a", "namespace=velero").Output()
		require.NoError(t, err, r.Alert)
		assert.Equal(t, receivers[r.Labels["severity"]], strings.TrimSpace(string(out)), r.Alert)
	}
}
