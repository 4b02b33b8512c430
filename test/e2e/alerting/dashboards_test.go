//go:build e2e

package alerting_test

import (
	"maps"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/dashboards"
	drill "github.com/lifeboat-backup/lifeboat/verifier/report"
)

// lockOnly is what only a bucket that locks objects has.
var lockOnly = regexp.MustCompile(`\blifeboat_schedule_(recovery_point_lock_until_timestamp_seconds|locked_backups)\b`)

// queries are all that the dashboards ask, by where they ask it.
func queries() map[string]string {
	out := map[string]string{}
	for _, d := range dashboards.All() {
		for _, q := range d.Queries(map[string]string{"schedule": "shop"}) {
			if !lockOnly.MatchString(q.Expr) {
				out[d.UID+": "+q.Panel+" "+q.RefID] = q.Expr
			}
		}
	}
	return out
}

// A cluster with Velero, a bucket, a ledger and drills has something to show in
// every panel.
func TestEveryQueryOfTheDashboardsReturnsSeriesOfACluster(t *testing.T) {
	env := newEnvironment(t)
	w := env.world("dashboards")
	flags := w.installVelero(t)
	w.schedule(t, "shop", "@every 1h", annotations{"lifeboat.dev/rto": "15m"})
	w.create(t, "BackupRepository", velerov1.BackupRepository{
		ObjectMeta: metav1.ObjectMeta{Name: "shop-main-kopia"},
		Spec: velerov1.BackupRepositorySpec{
			VolumeNamespace: "shop", BackupStorageLocation: "main", RepositoryType: "kopia", MaintenanceFrequency: metav1.Duration{Duration: time.Hour},
		},
		Status: velerov1.BackupRepositoryStatus{Phase: velerov1.BackupRepositoryPhaseReady, LastMaintenanceTime: moment(time.Now())},
	})
	w.run(t, w.next(velerov1.BackupPhaseFailed))
	good := w.next(velerov1.BackupPhaseCompleted)
	good.volumes = []volume{saved(1 << 20), skipped()}
	w.run(t, good)
	w.evidence(t, good, func(r *drill.Report) {
		r.Policy, r.PolicySchedule = "nightly", "0 4 * * *"
		r.Items.RestoredBytes = 4096
		r.Checks = []drill.Check{{Name: "items_equal", Verdict: drill.Passed}}
	})
	w.put(t, "kopia/shop/p0", "volume data")
	// Another bucket of the server would do as well for the ledger.
	w.watch(t, append(flags, "--ledger="+w.s3.URL("main"), "--probe-writes", "--object-lock=report", "--storage-scan-interval=1s")...)
	env.startPrometheus([]*world{w})
	w.begin(t, w.next(velerov1.BackupPhaseInProgress))

	missing := queries()
	require.NotEmpty(t, missing)
	assert.Eventually(t, func() bool {
		maps.DeleteFunc(missing, func(_, query string) bool { return len(env.ask(t, query)) > 0 })
		return len(missing) == 0
	}, patient, often)
	for panel, query := range missing {
		t.Errorf("%s has no series: %s", panel, query)
	}
	if t.Failed() {
		t.Logf("the exporter says:\n%s\nand serves:\n%s", w.exporter.Log(), w.served(t))
	}
}
