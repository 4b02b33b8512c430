package verifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
	"github.com/lifeboat-backup/lifeboat/verifier/workload"
)

// provisioner gives the claims of a sandbox empty volumes: the volumes that
// they had lie outside of it, and so do the drivers of their classes.
type provisioner struct {
	box     sandbox.Runner
	cluster *cluster.Client
	node    string // label kubernetes.io/hostname
	made    map[types.UID]bool
	refused map[types.UID]string // why the API server would not take a volume
}

func newProvisioner(ctx context.Context, box sandbox.Runner, c *cluster.Client) (*provisioner, error) {
	p := &provisioner{box: box, cluster: c, made: map[types.UID]bool{}, refused: map[types.UID]string{}}
	var info cluster.ListInfo
	for it, err := range c.List(ctx, item.Resource{Version: "v1", Name: "nodes", Kind: "Node"}, cluster.ListOptions{}, &info) {
		if err != nil {
			return nil, c.Explain(err)
		}
		u, err := it.Object()
		if err != nil {
			return nil, err
		}
		p.node = u.GetLabels()[corev1.LabelHostname]
	}
	if p.node == "" {
		return nil, errors.New("the sandbox has no node with a host name")
	}
	return p, nil
}

// provide makes a volume for each claim that has none. A claim whose class
// waits for a first consumer gets one as well: there is only one node. What the
// API server refuses, for a restored webhook perhaps, is tried again the next
// time.
func (p *provisioner) provide(ctx context.Context, claims []corev1.PersistentVolumeClaim) error {
	for _, c := range claims {
		if c.Status.Phase == corev1.ClaimBound || p.made[c.UID] || c.DeletionTimestamp != nil || workload.IsBlock(c) {
			continue
		}
		path, err := p.box.MakeVolume(ctx, string(c.UID))
		if err != nil {
			return fmt.Errorf("create a volume for persistentvolumeclaims %s/%s: %w", c.Namespace, c.Name, err)
		}
		if err := p.create(ctx, volumeFor(c, path, p.node)); err != nil {
			if cluster.Unreachable(err) || ctx.Err() != nil {
				return p.cluster.Explain(err)
			}
			p.refused[c.UID] = cluster.Reason(err)
			continue
		}
		p.made[c.UID] = true
		delete(p.refused, c.UID)
	}
	return nil
}

func (p *provisioner) create(ctx context.Context, v corev1.PersistentVolume) error {
	object, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = p.cluster.Create(ctx, item.Resource{Version: "v1", Name: "persistentvolumes", Kind: "PersistentVolume"}, "", object)
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// oldClass is where claims named their class before the field; Kubernetes'
// binder still looks there first.
const oldClass = "volume.beta.kubernetes.io/storage-class"

// volumeFor is a volume for one claim and no other. With the claim's UID the
// binder takes it at once, and without it at its next round.
func volumeFor(c corev1.PersistentVolumeClaim, path, node string) corev1.PersistentVolume {
	class := c.Annotations[oldClass]
	if class == "" && c.Spec.StorageClassName != nil {
		class = *c.Spec.StorageClassName
	}
	name := c.Spec.VolumeName
	if name == "" {
		name = "lifeboat-" + string(c.UID)
	}
	mode := corev1.PersistentVolumeFilesystem
	return corev1.PersistentVolume{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolume"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: corev1.ResourceList{corev1.ResourceStorage: c.Spec.Resources.Requests[corev1.ResourceStorage]}, AccessModes: c.Spec.AccessModes, VolumeMode: &mode,
			StorageClassName: class, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef:               &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: c.Namespace, Name: c.Name, UID: c.UID},
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}},
			}}}},
		},
	}
}
