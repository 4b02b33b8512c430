package plan

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// shed is a cluster in which a claim had a volume.
type shed struct {
	t    *testing.T
	o    Options
	seen Observed
}

func newShed(t *testing.T, o Options) *shed {
	seen := everything()
	seen.Storage = &Storage{Volumes: map[string]LiveVolume{}, Claims: map[item.Key]LiveClaim{}, Classes: map[string]Class{"fast": {Provisions: true}, "static": {}}}
	return &shed{t, o, seen}
}

func volumeOf(t *testing.T, name, spec string) item.Item {
	return object(t, "v1 PersistentVolume persistentvolumes "+name, `"metadata":{"uid":"v-`+name+`"},"spec":{"persistentVolumeReclaimPolicy":"Retain",`+spec+`}`)
}

func claimOf(t *testing.T, name, class, volume, phase string) item.Item {
	return object(t, "v1 PersistentVolumeClaim persistentvolumeclaims "+name, fmt.Sprintf(`"metadata":{"uid":"c-old"},"spec":{"storageClassName":%q,"volumeName":%q},"status":{"phase":%q}`, class, volume, phase))
}

// has puts an item into the target as it is.
func (s *shed) has(it item.Item) *shed {
	u, err := it.Object()
	require.NoError(s.t, err)
	s.seen.Storage.Note(u.DeepCopy(), it.Key)
	s.seen.Existing[it.Key], err = s.o.Live(u, "v1")
	require.NoError(s.t, err)
	return s
}

func (s *shed) restore(items ...item.Item) Plan {
	var all []Entry
	for _, it := range items {
		e, err := Examine(it, s.o)
		require.NoError(s.t, err)
		all = append(all, e)
	}
	return s.o.Build("b", all, s.seen)
}

const nfs = `"nfs":{"server":"192.0.2.7","path":"/tools"}`

func TestAClaimGetsItsReleasedVolumeBackUnderEveryPolicy(t *testing.T) {
	held := volumeOf(t, "tools", nfs+`,"claimRef":{"namespace":"shed","name":"box","uid":"c-old"}`)
	claim := claimOf(t, "shed/box", "static", "tools", "Bound")
	for _, policy := range []Policy{"", PolicyUpdate, PolicyRecreate} {
		s := newShed(t, Options{ExistingResourcePolicy: policy}).has(held)
		p := s.restore(held, claim)
		got := stepOf(t, p, claim.Key)
		assert.Equal(t, Create, got.Action, policy)
		assert.Equal(t, "absent in the cluster; gets its volume tools back", got.Reason)
		assert.Equal(t, &VolumeStep{Name: "tools", Reserve: true, UID: "v-tools", Was: ClaimRef{"shed", "box", "c-old"}}, got.Volume)
		assert.Contains(t, stepOf(t, p, held.Key).Reason, "claim shed/box gets it back")
		assert.Contains(t, p.Volumes, Volume{Object: "persistentvolumeclaims shed/box", Note: "not in the backup, but in its volume tools of the cluster, which the claim gets back"})
		assert.Empty(t, p.Warnings)
	}
}

func TestAClaimGetsItsVolumeOrThePlanSaysWhyNot(t *testing.T) {
	mine := `,"claimRef":{"namespace":"shed","name":"box","uid":"c-old"}`
	claim := func(class, phase string) item.Item { return claimOf(t, "shed/box", class, "tools", phase) }
	pv := func(spec string) item.Item { return volumeOf(t, "tools", spec) }
	neighbour := object(t, "v1 PersistentVolumeClaim persistentvolumeclaims barn/box", `"metadata":{"uid":"c-barn"}`)
	for name, c := range map[string]struct {
		class  string
		live   []item.Item // in the target
		want   Action
		reason string
		gives  bool
		warns  int
	}{
		"restored, its claimRef reserves it":    {class: "static", want: Create, reason: "absent in the cluster"},
		"unbound in the target":                 {class: "static", live: []item.Item{pv(nfs)}, want: Create, reason: "absent in the cluster; gets its volume tools back", gives: true},
		"used by another claim, static":         {class: "static", live: []item.Item{pv(nfs + `,"claimRef":{"namespace":"barn","name":"box","uid":"c-barn"}`), neighbour}, want: Fail, reason: "cannot bind: its volume tools is used by claim barn/box, and no storage class makes a new one (create a volume with a claimRef to this claim, then restore again)"},
		"used by another claim, provisioned":    {class: "fast", live: []item.Item{pv(nfs + `,"claimRef":{"namespace":"barn","name":"box","uid":"c-barn"}`), neighbour}, want: Create, reason: "absent in the cluster; gets a new, empty volume, since its volume tools is used by claim barn/box", warns: 1},
		"Released by another claim":             {class: "", live: []item.Item{pv(nfs + `,"claimRef":{"namespace":"barn","name":"box","uid":"gone"}`)}, want: Fail, reason: "cannot bind: its volume tools is Released, and belonged to another claim, barn/box, and no storage class makes a new one (create a volume with a claimRef to this claim, then restore again)", warns: 1},
		"another volume of the name":            {class: "", live: []item.Item{pv(`"nfs":{"server":"192.0.2.8","path":"/tools"}`)}, want: Fail, reason: "cannot bind: its volume tools is another volume in this cluster: its source is not that of the backup, and no storage class makes a new one (create a volume with a claimRef to this claim, then restore again)"},
		"Released and about to be deleted":      {class: "fast", live: []item.Item{object(t, "v1 PersistentVolume persistentvolumes tools", `"metadata":{"uid":"x"},"spec":{"persistentVolumeReclaimPolicy":"Delete",`+nfs+mine+`}`)}, want: Create, reason: "absent in the cluster; gets a new, empty volume, since its volume tools is Released, and its reclaim policy is not Retain: it will be deleted or emptied", warns: 2},
		"the class is not in the target either": {class: "lost", live: []item.Item{pv(`"nfs":{"server":"192.0.2.8","path":"/tools"}`)}, want: Fail, reason: "cannot bind: its volume tools is another volume in this cluster: its source is not that of the backup, and no storage class makes a new one (create a volume with a claimRef to this claim, then restore again)"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShed(t, Options{})
			for _, it := range c.live {
				s.has(it)
			}
			p := s.restore(pv(nfs+mine), claim(c.class, "Bound"))
			got := stepOf(t, p, claim(c.class, "").Key)
			assert.Equal(t, c.want, got.Action)
			assert.Equal(t, c.reason, got.Reason)
			assert.Equal(t, c.gives, got.Gives())
			assert.Len(t, p.Warnings, c.warns, "%v", p.Warnings)
		})
	}
}

func TestAClaimThatExistsAndCannotBindIsNotUnchanged(t *testing.T) {
	stale := volumeOf(t, "tools", nfs+`,"claimRef":{"namespace":"shed","name":"box","uid":"c-older"}`)
	bound := claimOf(t, "shed/box", "static", "tools", "Bound")
	for name, c := range map[string]struct {
		live   []item.Item
		want   Action
		reason string
		volume *VolumeStep
	}{
		"Pending, its volume Released": {
			[]item.Item{stale, claimOf(t, "shed/box", "static", "", "Pending")},
			Update, "exists and is equal; gets its volume tools back",
			&VolumeStep{Name: "tools", Reserve: true, UID: "v-tools", Was: ClaimRef{"shed", "box", "c-older"}, ClaimUID: "c-old", Only: true}},
		"Lost, its volume Released": {
			[]item.Item{stale, claimOf(t, "shed/box", "static", "tools", "Lost")},
			Update, "exists and is equal; gets its volume tools back",
			&VolumeStep{Name: "tools", Reserve: true, UID: "v-tools", Was: ClaimRef{"shed", "box", "c-older"}, ClaimUID: "c-old", Only: true}},
		"Lost, bound to a volume that is gone": {
			[]item.Item{stale, claimOf(t, "shed/box", "static", "elsewhere", "Lost")},
			Fail, "cannot bind: it is Lost, and its volume elsewhere is gone (delete the claim and restore again)", nil},
		"Bound": {[]item.Item{volumeOf(t, "tools", nfs+`,"claimRef":{"namespace":"shed","name":"box","uid":"c-old"}`), bound}, Unchanged, ReasonEqual, nil},
		"Pending, and the binder will pair them": {
			[]item.Item{volumeOf(t, "tools", nfs+`,"claimRef":{"namespace":"shed","name":"box"}`), claimOf(t, "shed/box", "static", "", "Pending")},
			Unchanged, ReasonEqual, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShed(t, Options{})
			for _, it := range c.live {
				s.has(it)
			}
			got := stepOf(t, s.restore(stale, bound), bound.Key)
			assert.Equal(t, c.want, got.Action)
			assert.Equal(t, c.reason, got.Reason)
			assert.Equal(t, c.volume, got.Volume)
		})
	}

	waits := newShed(t, Options{}).has(claimOf(t, "shed/box", "static", "", "Pending")).restore(bound)
	assert.Equal(t, []string{"skip persistentvolumeclaims shed/box: exists and is equal; cannot bind until there is a volume for it: its volume tools is neither in the cluster nor restored"}, steps(waits))
	assert.Len(t, waits.Warnings, 1)

	lost := newShed(t, Options{}).has(claimOf(t, "shed/box", "static", "tools", "Lost"))
	assert.Equal(t, "c-old", stepOf(t, lost.restore(stale, bound), stale.Key).ClaimUID, "a volume that is restored goes to the claim that lost it")

	wait := newShed(t, Options{}).has(claimOf(t, "shed/box", "fast", "", "Pending"))
	first := claimOf(t, "shed/box", "fast", "tools", "Bound")
	assert.Equal(t, Unchanged, stepOf(t, wait.restore(first), first.Key).Action, "a claim may wait for its first consumer")
}

func TestAClaimWithDataInTheBackupGetsANewVolumeOrThePlanSaysThatNothingMakesOne(t *testing.T) {
	v := volumeOf(t, "tools", nfs+`,"claimRef":{"namespace":"shed","name":"box","uid":"c-old"}`)
	o := Options{VolumeData: map[string]VolumeData{"tools": {Method: "PodVolumeBackup"}}}
	for class, warnings := range map[string][]string{
		"fast":   {},
		"static": {"persistentvolumeclaims shed/box: cannot bind until there is a volume for it, since no storage class makes one"},
	} {
		claim := claimOf(t, "shed/box", class, "tools", "Bound")
		p := newShed(t, o).has(v).restore(v, claim)
		assert.ElementsMatch(t, warnings, p.Warnings, class)
		assert.Nil(t, stepOf(t, p, claim.Key).Volume, "the volume keeps what it holds now")
	}
}

func TestVolumesThatStayReleasedAreNotUnchanged(t *testing.T) {
	v := volumeOf(t, "tools", nfs+`,"claimRef":{"namespace":"shed","name":"box","uid":"c-old"}`)
	p := newShed(t, Options{}).has(v).restore(v)
	const why = "is Released: claim shed/box, which it belonged to, is gone, and this restore does not give it to a claim"
	assert.Equal(t, []string{"skip persistentvolumes tools: exists and is equal; it " + why}, steps(p))
	assert.Equal(t, []string{"persistentvolumes tools: " + why}, p.Warnings)
}

func TestAMovedClaimTakesItsVolumeAlongAndACopyDoesNot(t *testing.T) {
	o := Options{NamespaceMapping: map[string]string{"shed": "barn"}}
	v := volumeOf(t, "tools", nfs+`,"claimRef":{"namespace":"shed","name":"box","uid":"c-old"}`)
	claim := claimOf(t, "shed/box", "static", "tools", "Bound")

	moved := stepOf(t, newShed(t, o).has(v).restore(v, claim), claim.Key)
	require.True(t, moved.Gives(), moved.Reason)
	assert.Equal(t, ClaimRef{"shed", "box", "c-old"}, moved.Volume.Was)

	copied := stepOf(t, newShed(t, o).has(v).has(claim).restore(v, claim), claim.Key)
	assert.Equal(t, Fail, copied.Action)
	assert.Contains(t, copied.Reason, "its volume tools is used by claim shed/box")
}

func TestAnUpdateOfAVolumeLeavesItsClaim(t *testing.T) {
	want, err := volumeOf(t, "tools", nfs+`,"claimRef":{"namespace":"barn","name":"box"}`).Object()
	require.NoError(t, err)
	live, err := volumeOf(t, "tools", nfs+`,"claimRef":{"namespace":"shed","name":"box","uid":"c-old"}`).Object()
	require.NoError(t, err)
	patch, err := Options{ExistingResourcePolicy: PolicyUpdate}.Patch(want, live)
	require.NoError(t, err)
	assert.Nil(t, patch)
}
