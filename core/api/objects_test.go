package api_test

import (
	"archive/tar"
	"encoding/json"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"

	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	velerov2alpha1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v2alpha1"
)

const fixtures = "../../test/fixtures/velero-v1.18.1"

func scheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	require.NoError(t, velerov1.AddToScheme(s))
	require.NoError(t, velerov2alpha1.AddToScheme(s))
	return s
}

// newObject is an empty object of one of our kinds.
func newObject(t *testing.T, s *runtime.Scheme, apiVersion, kind string) runtime.Object {
	t.Helper()
	gv, err := schema.ParseGroupVersion(apiVersion)
	require.NoError(t, err)
	o, err := s.New(gv.WithKind(kind))
	require.NoError(t, err)
	return o
}

// sameJSON decodes what Velero wrote into a type of ours, without a field that
// the type does not know, and expects to find it again in what the type writes.
func sameJSON(t *testing.T, veleros []byte, into any) {
	t.Helper()
	unknown, err := kjson.UnmarshalStrict(veleros, into)
	require.NoError(t, err)
	assert.Empty(t, unknown)
	ours, err := json.Marshal(into)
	require.NoError(t, err)
	assert.JSONEq(t, string(veleros), string(ours))
}

func TestAnObjectWithEveryFieldIsReadWholeAndWrittenAsVeleroWritesIt(t *testing.T) {
	files, err := filepath.Glob(fixtures + "/objects/*.json")
	require.NoError(t, err)
	require.Len(t, files, 13)
	s := scheme(t)
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			veleros, err := os.ReadFile(f)
			require.NoError(t, err)
			var head metav1.TypeMeta
			require.NoError(t, json.Unmarshal(veleros, &head))
			o := newObject(t, s, head.APIVersion, head.Kind)
			sameJSON(t, veleros, o)
			assert.Equal(t, o, o.DeepCopyObject())

			listed := []byte(`{"apiVersion":"` + head.APIVersion + `","kind":"` + head.Kind + `List","metadata":{"resourceVersion":"7"},"items":[` + string(veleros) + `]}`)
			list := newObject(t, s, head.APIVersion, head.Kind+"List")
			sameJSON(t, listed, list)
			assert.Equal(t, list, list.DeepCopyObject())
		})
	}
}

func TestAnObjectInWhichNothingIsSetIsWrittenAsVeleroWritesIt(t *testing.T) {
	content, err := os.ReadFile(fixtures + "/empty-objects.json")
	require.NoError(t, err)
	var veleros map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(content, &veleros))
	require.Len(t, veleros, 13)
	s := scheme(t)
	for kind, want := range veleros {
		version := velerov1.GroupVersion
		if !s.Recognizes(version.WithKind(kind)) {
			version = velerov2alpha1.GroupVersion
		}
		ours, err := json.Marshal(newObject(t, s, version.String(), kind))
		require.NoError(t, err)
		assert.JSONEq(t, string(want), string(ours), kind)
	}
}

func TestTheObjectsInABucketOfVelerosAreReadWholeAndWrittenAsTheyWere(t *testing.T) {
	f, err := os.Open(fixtures + "/bucket-small.tar.gz")
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	met := map[string]bool{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		switch name := path.Base(h.Name); {
		case name == "velero-backup.json":
			content, err := io.ReadAll(r)
			require.NoError(t, err)
			sameJSON(t, content, &velerov1.Backup{})
			met["backup"] = true
		case strings.HasSuffix(name, "-podvolumebackups.json.gz"):
			z, err := gzip.NewReader(r)
			require.NoError(t, err)
			content, err := io.ReadAll(z)
			require.NoError(t, err)
			var list []json.RawMessage
			require.NoError(t, json.Unmarshal(content, &list))
			for _, veleros := range list {
				sameJSON(t, veleros, &velerov1.PodVolumeBackup{})
				met["pod volume backup"] = true
			}
		}
	}
	assert.Equal(t, map[string]bool{"backup": true, "pod volume backup": true}, met)
}

func TestDurationsAreWrittenAsGoWritesThemAndNumbersAreRefused(t *testing.T) {
	zero := metav1.Duration{}
	out, err := json.Marshal(velerov1.BackupStorageLocationSpec{BackupSyncPeriod: &zero})
	require.NoError(t, err)
	assert.Contains(t, string(out), `"backupSyncPeriod":"0s"`, "0 means never, and must not be lost")
	assert.NotContains(t, string(out), "validationFrequency")

	out, err = json.Marshal(velerov1.BackupSpec{TTL: metav1.Duration{Duration: 730 * time.Hour}})
	require.NoError(t, err)
	assert.Contains(t, string(out), `"ttl":"730h0m0s"`)

	for field, into := range map[string]any{
		"ttl": &velerov1.BackupSpec{}, "csiSnapshotTimeout": &velerov1.BackupSpec{}, "itemOperationTimeout": &velerov1.RestoreSpec{},
		"timeout": &velerov1.ExecHook{}, "execTimeout": &velerov1.ExecRestoreHook{}, "waitTimeout": &velerov1.ExecRestoreHook{},
		"backupSyncPeriod": &velerov1.BackupStorageLocationSpec{}, "validationFrequency": &velerov1.BackupStorageLocationSpec{},
		"maintenanceFrequency": &velerov1.BackupRepositorySpec{}, "operationTimeout": &velerov2alpha1.DataUploadSpec{},
	} {
		assert.NoError(t, json.Unmarshal([]byte(`{"`+field+`":"1h"}`), into), field)
		assert.Error(t, json.Unmarshal([]byte(`{"`+field+`":3600}`), into), field)
	}
}

func TestARestoreIsFinishedInFourPhases(t *testing.T) {
	finished := []velerov1.RestorePhase{
		velerov1.RestorePhaseCompleted, velerov1.RestorePhasePartiallyFailed, velerov1.RestorePhaseFailed, velerov1.RestorePhaseFailedValidation,
	}
	for _, p := range finished {
		assert.True(t, p.Finished(), p)
	}
	for _, p := range []velerov1.RestorePhase{
		"", velerov1.RestorePhaseNew, velerov1.RestorePhaseInProgress, velerov1.RestorePhaseWaitingForPluginOperations,
		velerov1.RestorePhaseWaitingForPluginOperationsPartiallyFailed, velerov1.RestorePhaseFinalizing, velerov1.RestorePhaseFinalizingPartiallyFailed,
	} {
		assert.False(t, p.Finished(), p)
	}
}
