package volume_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/volume"
)

func parse(t *testing.T, resource, namespace, name, text string) item.Item {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	return item.Item{Key: item.Key{Resource: resource, Namespace: namespace, Name: name}, Raw: raw}
}

func pod(t *testing.T, name, annotations, phase, mounts string) volume.Pod {
	t.Helper()
	p, err := volume.ReadPod(parse(t, "pods", "shop", name, `{apiVersion: v1, kind: Pod, metadata: {name: `+name+`, annotations: {`+annotations+`}},
		spec: {containers: [{name: c, volumeMounts: [`+mounts+`]}], volumes: [
			{name: data, persistentVolumeClaim: {claimName: data}}, {name: scratch, emptyDir: {}}, {name: own, ephemeral: {volumeClaimTemplate: {}}},
			{name: token, projected: {}}, {name: key, secret: {}}, {name: node, hostPath: {path: /}}]}, status: {phase: `+phase+`}}`))
	require.NoError(t, err)
	return p
}

func TestTheMethodOfEachVolume(t *testing.T) {
	const mounted = `{name: data}, {name: scratch}, {name: own}, {name: token}`
	claim := func(name, pv string) volume.Claim {
		c, err := volume.ReadClaim(parse(t, "persistentvolumeclaims", "shop", name, `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: `+name+`}, spec: {volumeName: "`+pv+`"}}`))
		require.NoError(t, err)
		return c
	}
	pv := func(name, spec string) volume.PV {
		v, err := volume.ReadPV(parse(t, "persistentvolumes", "", name, `{apiVersion: v1, kind: PersistentVolume, metadata: {name: `+name+`}, spec: {`+spec+`}}`))
		require.NoError(t, err)
		return v
	}
	all := []volume.BackupMethod{volume.PodVolumeBackup, volume.CSISnapshot, volume.NativeSnapshot}
	yes, no := true, false
	data := volume.Name{Namespace: "shop", Name: "data"}
	web := volume.Name{Namespace: "shop", Name: "web"}
	const csi, ebs = `csi: {driver: d}`, `awsElasticBlockStore: {volumeID: v}`
	byPod := `backup.velero.io/backup-volumes: "data, scratch"`
	for _, c := range []struct {
		name     string
		pods     []volume.Pod
		claims   []volume.Claim
		pvs      []volume.PV
		settings volume.Settings
		want     []volume.Choice
	}{
		{"nothing is available: objects only, whatever is asked for", []volume.Pod{pod(t, "web", byPod, "Running", mounted)}, []volume.Claim{claim("data", "pv")}, []volume.PV{pv("pv", csi), pv("free", ebs)},
			volume.Settings{}, []volume.Choice{
				{Claim: data, PV: "pv", Pod: web, Mount: "data", Reason: volume.ReasonObjectsOnly}, {PV: "free", Reason: volume.ReasonObjectsOnly},
				{Pod: web, Mount: "scratch", Reason: volume.ReasonObjectsOnly}}},
		{"a CSI volume gets a CSI snapshot", nil, []volume.Claim{claim("data", "pv")}, []volume.PV{pv("pv", csi)},
			volume.Settings{Available: all, SnapshotVolumes: &yes}, []volume.Choice{{Claim: data, PV: "pv", Method: volume.CSISnapshot, Reason: "the backup snapshots volumes"}}},
		{"a volume of another kind gets a native snapshot, used or not", nil, nil, []volume.PV{pv("pv", ebs)},
			volume.Settings{Available: all}, []volume.Choice{{PV: "pv", Method: volume.NativeSnapshot, Reason: "the backup snapshots volumes"}}},
		{"snapshots are off", nil, []volume.Claim{claim("data", "pv")}, []volume.PV{pv("pv", csi)},
			volume.Settings{Available: all, SnapshotVolumes: &no}, []volume.Choice{{Claim: data, PV: "pv", Reason: "data not included: the backup does not snapshot volumes"}}},
		{"the annotation of a pod names a claim and another volume", []volume.Pod{pod(t, "web", byPod, "Running", mounted)}, []volume.Claim{claim("data", "pv")}, []volume.PV{pv("pv", csi)},
			volume.Settings{Available: all}, []volume.Choice{
				{Claim: data, PV: "pv", Pod: web, Mount: "data", Method: volume.PodVolumeBackup, Reason: "named by annotation backup.velero.io/backup-volumes"},
				{Pod: web, Mount: "scratch", Method: volume.PodVolumeBackup, Reason: "named by annotation backup.velero.io/backup-volumes"}}},
		{"by default all files but those the pod excludes and those without data of their own", []volume.Pod{pod(t, "web", `backup.velero.io/backup-volumes-excludes: scratch`, "Running", mounted)}, []volume.Claim{claim("data", "pv"), claim("web-own", "pv-own")}, []volume.PV{pv("pv", csi), pv("pv-own", csi)},
			volume.Settings{Available: all, DefaultVolumesToFsBackup: true}, []volume.Choice{
				{Claim: data, PV: "pv", Pod: web, Mount: "data", Method: volume.PodVolumeBackup, Reason: "file-system backup is the default of this backup"},
				{Claim: volume.Name{Namespace: "shop", Name: "web-own"}, PV: "pv-own", Pod: web, Mount: "own", Method: volume.PodVolumeBackup, Reason: "file-system backup is the default of this backup"}}},
		{"of two pods with one claim, the one that runs", []volume.Pod{pod(t, "old", byPod, "Pending", mounted), pod(t, "web", byPod, "Running", `{name: data}`)}, []volume.Claim{claim("data", "pv")}, nil,
			volume.Settings{Available: all}, []volume.Choice{
				{Claim: data, PV: "pv", Pod: web, Mount: "data", Method: volume.PodVolumeBackup, Reason: "named by annotation backup.velero.io/backup-volumes"},
				{Pod: volume.Name{Namespace: "shop", Name: "old"}, Mount: "scratch", Reason: "data not included: its pod is not running"},
				{Pod: web, Mount: "scratch", Reason: "data not included: no container of its pod mounts it as a file system"}}},
		{"the files of a block device, of a path of a node", []volume.Pod{pod(t, "web", `backup.velero.io/backup-volumes: data`, "Running", mounted)}, []volume.Claim{claim("data", "pv")}, []volume.PV{pv("pv", csi+`, volumeMode: Block`), pv("node", `hostPath: {path: /}`)},
			volume.Settings{Available: all}, []volume.Choice{
				{Claim: data, PV: "pv", Reason: "data not included: a block device has no files"},
				{PV: "node", Reason: "data not included: a hostPath volume belongs to its node"}}},
		{"a claim that is not bound, and one whose volume is not in the backup", nil, []volume.Claim{claim("data", ""), claim("other", "gone")}, nil,
			volume.Settings{Available: all}, []volume.Choice{{Claim: data, Reason: "data not included: the claim is not bound to a volume"},
				{Claim: volume.Name{Namespace: "shop", Name: "other"}, PV: "gone", Reason: "data not included: the volume is not in the backup"}}},
		{"a method that this installation does not have", nil, []volume.Claim{claim("data", "pv")}, []volume.PV{pv("pv", csi)},
			volume.Settings{Available: all[:1]}, []volume.Choice{{Claim: data, PV: "pv", Reason: "data not included: this installation cannot make a CSISnapshot"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, volume.Choose(c.pods, c.claims, c.pvs, c.settings))
		})
	}
}
