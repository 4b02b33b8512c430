package restore

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

type dataFunc func(steps []plan.DataStep) error

func (f dataFunc) Restore(_ context.Context, steps []plan.DataStep) error { return f(steps) }

func of(resource, kind, name, spec string) item.Item {
	return item.Item{
		Key: item.Key{Resource: resource, Namespace: "shop", Name: name}, Version: "v1", Kind: kind,
		Raw: fmt.Appendf(nil, `{"apiVersion":"v1","kind":%q,"metadata":{"name":%q,"namespace":"shop"},"spec":{%s}}`, kind, name, spec),
	}
}

// withData is a backup of two claims with data, one without, a pod and a config
// map, and a cluster that has one of the claims.
func withData(t *testing.T) (store.Store, *fakeTarget) {
	t.Helper()
	claim := func(name string) item.Item {
		return of("persistentvolumeclaims", "PersistentVolumeClaim", name, `"volumeName":"pv-`+name+`"`)
	}
	s := written(t, true, configMap("a"), claim("data"), claim("empty"), claim("there"), of("pods", "Pod", "web", `"containers":[]`))
	var z bytes.Buffer
	gz := gzip.NewWriter(&z)
	fmt.Fprint(gz, `[{"pvName":"pv-data","backupMethod":"CSISnapshot","csiSnapshotInfo":{"snapshotHandle":"snap-1"}},
		{"pvName":"pv-there","backupMethod":"PodVolumeBackup","pvbInfo":{"snapshotHandle":"k"}},{"pvName":"pv-empty","skipped":true}]`)
	require.NoError(t, gz.Close())
	put(t, s, store.VolumeInfo("b"), z.Bytes())
	to := newTarget()
	for name, kind := range map[string]string{"persistentvolumeclaims": "PersistentVolumeClaim", "pods": "Pod"} {
		to.served = append(to.served, item.Resource{Version: "v1", Name: name, Kind: kind, Namespaced: true, Verbs: []string{"create", "list", "get"}})
	}
	there := claim("there")
	to.objects[there.Key] = there
	return s, to
}

var ofData = []plan.DataStep{{
	Claim:      item.Key{Resource: "persistentvolumeclaims", Namespace: "shop", Name: "data"},
	VolumeData: plan.VolumeData{Method: "CSISnapshot", Handle: "snap-1"},
}}

func TestDataComesAfterItsClaimAndBeforeThePods(t *testing.T) {
	s, to := withData(t)
	var order []string
	to.create = func(k item.Key) error { order = append(order, k.Resource+" "+k.Name); return nil }
	j := job(s, to)
	j.Workers = 1
	j.Data = dataFunc(func(steps []plan.DataStep) error {
		assert.Equal(t, ofData, steps, "no data goes into a claim that was there before")
		order = append(order, "data")
		return nil
	})
	r, err := j.Run(t.Context())
	require.NoError(t, err)
	assert.True(t, r.Complete())
	assert.Equal(t, []string{"namespaces shop", "persistentvolumeclaims data", "persistentvolumeclaims empty", "configmaps a", "data", "pods web"}, order)
}

func TestAnErrorWithDataEndsARestoreBeforeThePods(t *testing.T) {
	s, to := withData(t)
	j := job(s, to)
	j.Data = dataFunc(func([]plan.DataStep) error { return errors.New("no such snapshot") })
	r, err := j.Run(t.Context())
	require.ErrorContains(t, err, "restore the data of 1 claims: no such snapshot")
	for _, c := range r.Changes {
		if c.Resource == "pods" {
			assert.Equal(t, apply.Failed, c.Outcome)
			assert.Equal(t, "not reached", c.Reason)
		}
	}
	assert.NotContains(t, to.objects, item.Key{Resource: "pods", Namespace: "shop", Name: "web"})
}

func TestByDefaultNoDataIsRestoredAndThePlanSaysSo(t *testing.T) {
	s, to := withData(t)
	p, err := job(s, to).Prepare(t.Context())
	require.NoError(t, err)
	assert.Equal(t, ofData, p.Plan.Data)
	assert.Contains(t, p.Plan.Volumes, plan.Volume{Object: ofData[0].Claim.String(), Method: "CSISnapshot",
		Note: "data not restored: it is in the backup (CSISnapshot), and this version restores objects only"})
	r, err := job(s, to).Run(t.Context())
	require.NoError(t, err)
	assert.True(t, r.Complete())
}

func TestAPlanFileWithoutDataStepsIsRead(t *testing.T) {
	f, err := ReadFile(strings.NewReader(`{"apiVersion":"lifeboat.dev/v1alpha1","kind":"Plan","cluster":"c","options":{},"backup":"b","steps":[],
		"volumes":[{"object":"persistentvolumeclaims shop/data","note":"data not included in the backup"}]}`))
	require.NoError(t, err)
	assert.Empty(t, f.Data)
	assert.Len(t, f.Volumes, 1)
}
