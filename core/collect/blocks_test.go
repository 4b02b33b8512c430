package collect_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/collect"
	"github.com/lifeboat-backup/lifeboat/core/volume"
)

func TestABlockIsPodsThatShareClaimsWithTheseAndTheirVolumes(t *testing.T) {
	name := func(n string) volume.Name { return volume.Name{Namespace: "shop", Name: n} }
	pod := func(n string, claims ...string) volume.Pod {
		p := volume.Pod{Name: name(n)}
		for _, c := range claims {
			p.Volumes = append(p.Volumes, volume.PodVolume{Name: c, Claim: c})
		}
		return p
	}
	claim := func(n, pv string) volume.Claim { return volume.Claim{Name: name(n), PV: pv} }
	pods := []volume.Pod{pod("c", "two", "three"), pod("b"), pod("a", "one", "two")}
	claims := []volume.Claim{claim("two", ""), claim("one", "pv-1"), claim("unused", "pv-u")}
	pvs := []volume.PV{{Name: "pv-1"}, {Name: "left"}, {Name: "pv-u"}}
	assert.Equal(t, []collect.Block{
		{Pods: []volume.Pod{pods[2], pods[0]}, Claims: []volume.Claim{claims[1], claims[0]}, PVs: []volume.PV{{Name: "pv-1"}}},
		{Pods: []volume.Pod{pods[1]}},
		{Claims: []volume.Claim{claims[2]}, PVs: []volume.PV{{Name: "pv-u"}}},
		{PVs: []volume.PV{{Name: "left"}}},
	}, collect.Blocks(pods, claims, pvs))
}

func TestBlocksHoldEverythingOnceAndDoNotDependOnTheOrder(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var pods []volume.Pod
		var claims []volume.Claim
		var pvs []volume.PV
		for i := range r.IntN(12) {
			pvs = append(pvs, volume.PV{Name: fmt.Sprint("pv", i)})
		}
		for i := range r.IntN(12) {
			claims = append(claims, volume.Claim{Name: volume.Name{Namespace: fmt.Sprint("ns", i%2), Name: fmt.Sprint("c", i)}, PV: fmt.Sprint("pv", r.IntN(14))})
		}
		for i := range r.IntN(12) {
			p := volume.Pod{Name: volume.Name{Namespace: fmt.Sprint("ns", i%2), Name: fmt.Sprint("p", i)}}
			for range r.IntN(4) {
				p.Volumes = append(p.Volumes, volume.PodVolume{Claim: fmt.Sprint("c", r.IntN(14))})
			}
			pods = append(pods, p)
		}
		blocks := collect.Blocks(pods, claims, pvs)
		checkBlocks(t, blocks, len(pods), len(claims), len(pvs))

		shuffle(r, pods)
		shuffle(r, claims)
		shuffle(r, pvs)
		require.Equal(t, blocks, collect.Blocks(pods, claims, pvs), "seed %d", seed)
	}
}

// checkBlocks looks for everything once, and for each claim beside its pods.
func checkBlocks(t *testing.T, blocks []collect.Block, pods, claims, pvs int) {
	t.Helper()
	ofClaim := map[volume.Name]int{}
	seen := map[string]bool{}
	once := func(kind string, name any) {
		key := fmt.Sprint(kind, name)
		require.False(t, seen[key], "%s is in two blocks", key)
		seen[key] = true
	}
	for i, b := range blocks {
		for _, c := range b.Claims {
			once("claim", c.Name)
			ofClaim[c.Name] = i
		}
		for _, pv := range b.PVs {
			once("pv", pv.Name)
		}
	}
	for i, b := range blocks {
		for _, p := range b.Pods {
			once("pod", p.Name)
			for _, v := range p.Volumes {
				if at, found := ofClaim[volume.Name{Namespace: p.Namespace, Name: v.Claim}]; found {
					require.Equal(t, i, at, "claim %s is not with its pod", v.Claim)
				}
			}
		}
	}
	require.Len(t, seen, pods+claims+pvs)
}

func shuffle[T any](r *rand.Rand, list []T) {
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}
