package volume

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// Name is a namespaced name.
type Name struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

func (n Name) String() string { return n.Namespace + "/" + n.Name }

// Claim is what decisions need of a PersistentVolumeClaim.
type Claim struct {
	Name
	PV string // the volume it is bound to, "" for none
}

// PV is what decisions and records need of a PersistentVolume.
type PV struct {
	Name          string
	Claim         Name   // the claim it is bound to, zero for none
	Driver        string // of its CSI volume, "" for another kind
	HostPath      bool
	Block         bool // a raw block device, without a file system
	ReclaimPolicy string
	Labels        map[string]string
}

// Pod is what decisions need of a Pod.
type Pod struct {
	Name
	Running bool
	Volumes []PodVolume
	// FsBackup and NoFsBackup are the volumes that the pod's annotations name for
	// and against a file-system backup.
	FsBackup, NoFsBackup []string
}

// PodVolume is one volume of a pod.
type PodVolume struct {
	Name    string
	Claim   string // in the pod's namespace, "" if the volume is no claim
	Mounted bool   // by a container, as a file system; init containers do not count
	// Transient marks a volume without data of its own: a Secret, for example.
	Transient bool
}

// ReadClaim reads a PersistentVolumeClaim.
func ReadClaim(it item.Item) (Claim, error) {
	u, err := it.Object()
	if err != nil {
		return Claim{}, err
	}
	return Claim{Name: Name{it.Key.Namespace, it.Key.Name}, PV: text(u.Object, "spec", "volumeName")}, nil
}

// ReadPV reads a PersistentVolume.
func ReadPV(it item.Item) (PV, error) {
	u, err := it.Object()
	if err != nil {
		return PV{}, err
	}
	spec := item.Child(u.Object, "spec")
	return PV{
		Name:          it.Key.Name,
		Claim:         Name{text(spec, "claimRef", "namespace"), text(spec, "claimRef", "name")},
		Driver:        text(spec, "csi", "driver"),
		HostPath:      spec["hostPath"] != nil,
		Block:         spec["volumeMode"] == "Block",
		ReclaimPolicy: text(spec, "persistentVolumeReclaimPolicy"),
		Labels:        u.GetLabels(),
	}, nil
}

// ReadPod reads a Pod.
func ReadPod(it item.Item) (Pod, error) {
	u, err := it.Object()
	if err != nil {
		return Pod{}, err
	}
	spec := item.Child(u.Object, "spec")
	mounted := map[any]bool{}
	for _, c := range item.Maps(spec["containers"]) {
		for _, m := range item.Maps(c["volumeMounts"]) {
			mounted[m["name"]] = true
		}
	}
	annotations := u.GetAnnotations()
	p := Pod{
		Name:       Name{it.Key.Namespace, it.Key.Name},
		Running:    text(u.Object, "status", "phase") == "Running",
		FsBackup:   list(annotations[api.AnnotationBackupVolumes]),
		NoFsBackup: list(annotations[api.AnnotationBackupVolumesExcludes]),
	}
	for _, v := range item.Maps(spec["volumes"]) {
		name := text(v, "name")
		pv := PodVolume{Name: name, Claim: text(v, "persistentVolumeClaim", "claimName"), Mounted: mounted[name], Transient: transient(v)}
		if v["ephemeral"] != nil {
			pv.Claim = fmt.Sprintf("%s-%s", p.Name.Name, name) // as the ephemeral volume controller names it
		}
		p.Volumes = append(p.Volumes, pv)
	}
	return p, nil
}

// transient follows Velero v1.18.1, GetVolumesByPod in pkg/util/podvolume.
func transient(volume map[string]any) bool {
	for _, source := range []string{"hostPath", "secret", "configMap", "projected", "downwardAPI"} {
		if volume[source] != nil {
			return true
		}
	}
	return strings.HasPrefix(text(volume, "name"), "default-token")
}

func list(annotation string) []string {
	var out []string
	for name := range strings.SplitSeq(annotation, ",") {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, name)
		}
	}
	return out
}

func text(m map[string]any, path ...string) string {
	s, _, _ := unstructured.NestedString(m, path...) // another type is as good as absent
	return s
}
