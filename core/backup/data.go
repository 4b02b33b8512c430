package backup

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/lifeboat-backup/lifeboat/core/collect"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/volume"
)

// Data saves the data of the volumes of one backup. Its methods are called by
// one goroutine. An error ends the backup, which then does not exist; what is
// wrong with a single volume is a Problem.
type Data interface {
	// Start begins to save what is chosen of a block, and need not wait for it.
	Start(ctx context.Context, b collect.Block) error
	// Finish waits for what was started. It is called once, after all blocks.
	Finish(ctx context.Context) (Saved, error)
}

// Saved is what became of the data of volumes.
type Saved struct {
	Records  []volume.Info
	Items    []item.Item // objects made meanwhile that the backup needs
	Problems []Problem   // data that should be in the backup and is not
	Skipped  []Skipped   // data that the backup does not include
}

// Skipped is a claim or volume whose data is not included, by choice.
type Skipped struct {
	Key    item.Key
	Reason string
}

// ObjectsOnly includes no data of volumes. Each claim and volume is reported as
// skipped.
type ObjectsOnly struct{ saved Saved }

// Start skips the block.
func (o *ObjectsOnly) Start(_ context.Context, b collect.Block) error {
	reasons := map[string]string{} // by volume
	for _, c := range volume.Choose(b.Pods, b.Claims, b.PVs, volume.Settings{}) {
		reasons[c.PV] = c.Reason
		if c.Claim != (volume.Name{}) {
			o.saved.Skipped = append(o.saved.Skipped, Skipped{claimKey(c.Claim), c.Reason})
		}
	}
	for _, pv := range b.PVs {
		o.saved.Skipped = append(o.saved.Skipped, Skipped{pvKey(pv.Name), reasons[pv.Name]})
		o.saved.Records = append(o.saved.Records, volume.Skipped(pv, reasons[pv.Name]))
	}
	return nil
}

// Finish returns what was skipped.
func (o *ObjectsOnly) Finish(context.Context) (Saved, error) { return o.saved, nil }

func claimKey(n volume.Name) item.Key {
	return item.Key{Resource: "persistentvolumeclaims", Namespace: n.Namespace, Name: n.Name}
}

func pvKey(name string) item.Key { return item.Key{Resource: "persistentvolumes", Name: name} }

// volumes are the pods, claims and volumes of a backup. They take a few hundred
// bytes each.
type volumes struct {
	pods   []volume.Pod
	claims []volume.Claim
	pvs    []volume.PV
	place  map[item.Key]int // of claims and volumes in the archive
}

// note keeps what blocks are made of. Only pods that use a claim are decoded:
// nothing else of a pod is backed up yet.
func (v *volumes) note(it item.Item) (err error) {
	switch it.Key.GroupResource() {
	case "pods":
		if bytes.Contains(it.Raw, []byte(`"persistentVolumeClaim"`)) || bytes.Contains(it.Raw, []byte(`"volumeClaimTemplate"`)) {
			var p volume.Pod
			p, err = volume.ReadPod(it)
			v.pods = append(v.pods, p)
		}
	case "persistentvolumeclaims":
		var c volume.Claim
		c, err = volume.ReadClaim(it)
		v.claims = append(v.claims, c)
		v.place[it.Key] = len(v.place)
	case "persistentvolumes":
		var pv volume.PV
		pv, err = volume.ReadPV(it)
		v.pvs = append(v.pvs, pv)
		v.place[it.Key] = len(v.place)
	}
	return err
}

// saveData saves the data of volumes, block by block, and records what became
// of it. It returns the items that the backup gets besides.
func (j Job) saveData(ctx context.Context, v volumes, r *record) ([]item.Item, error) {
	data := j.Data
	if data == nil {
		data = &ObjectsOnly{}
	}
	for _, b := range collect.Blocks(v.pods, v.claims, v.pvs) {
		if err := data.Start(ctx, b); err != nil {
			return nil, fmt.Errorf("save the data of volumes: %w", err)
		}
	}
	saved, err := data.Finish(ctx)
	if err != nil {
		return nil, fmt.Errorf("save the data of volumes: %w", err)
	}
	v.sort(&saved)
	r.volumes = saved.Records
	for _, s := range saved.Skipped {
		r.warn(s.Key, s.Reason)
	}
	for _, p := range saved.Problems {
		r.problem(p)
	}
	return saved.Items, nil
}

// sort gives records and skipped objects the order that they have in the
// archive, whatever finished first.
func (v volumes) sort(s *Saved) {
	slices.SortStableFunc(s.Records, func(a, b volume.Info) int { return v.place[pvKey(a.PVName)] - v.place[pvKey(b.PVName)] })
	slices.SortStableFunc(s.Skipped, func(a, b Skipped) int { return v.place[a.Key] - v.place[b.Key] })
}
