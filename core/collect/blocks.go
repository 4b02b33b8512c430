package collect

import (
	"cmp"
	"slices"

	"github.com/lifeboat-backup/lifeboat/core/volume"
)

// Block is what belongs together when the data of volumes is backed up: pods
// that share claims, their claims and the volumes of these. Hooks of the pods
// run before and after the data is saved (Velero's item blocks, pkg/itemblock).
type Block struct {
	Pods   []volume.Pod
	Claims []volume.Claim
	PVs    []volume.PV
}

// Blocks puts each pod, claim and volume into exactly one block. The order of
// the blocks and in them does not depend on the order of the arguments. Names
// must be unique.
func Blocks(pods []volume.Pod, claims []volume.Claim, pvs []volume.PV) []Block {
	pods = sorted(pods, func(a, b volume.Pod) int { return compareNames(a.Name, b.Name) })
	claims = sorted(claims, func(a, b volume.Claim) int { return compareNames(a.Name, b.Name) })
	pvs = sorted(pvs, func(a, b volume.PV) int { return cmp.Compare(a.Name, b.Name) })
	var out []Block
	block := func() int { out = append(out, Block{}); return len(out) - 1 }

	s := share(pods)
	ofRoot := map[int]int{}
	for i, p := range pods {
		root := s.root(i)
		if root == i { // the first of its set
			ofRoot[root] = block()
		}
		b := &out[ofRoot[root]]
		b.Pods = append(b.Pods, p)
	}
	ofPV := map[string]int{}
	for _, c := range claims {
		i := 0
		if pod, used := s.byClaim[c.Name]; used {
			i = ofRoot[s.root(pod)]
		} else {
			i = block()
		}
		out[i].Claims = append(out[i].Claims, c)
		if _, taken := ofPV[c.PV]; c.PV != "" && !taken {
			ofPV[c.PV] = i
		}
	}
	for _, pv := range pvs {
		i, used := ofPV[pv.Name]
		if !used {
			i = block()
		}
		out[i].PVs = append(out[i].PVs, pv)
	}
	return out
}

func compareNames(a, b volume.Name) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// sorted is a sorted copy.
func sorted[T any](list []T, compare func(a, b T) int) []T {
	list = slices.Clone(list)
	slices.SortFunc(list, compare)
	return list
}

// sets are pods joined by the claims that they share.
type sets struct {
	parent  []int               // by pod; the first pod of a set is its own
	byClaim map[volume.Name]int // a pod that uses the claim
}

func share(pods []volume.Pod) sets {
	s := sets{parent: make([]int, len(pods)), byClaim: map[volume.Name]int{}}
	for i, p := range pods {
		s.parent[i] = i
		for _, v := range p.Volumes {
			if v.Claim == "" {
				continue
			}
			claim := volume.Name{Namespace: p.Namespace, Name: v.Claim}
			if other, used := s.byClaim[claim]; used {
				s.join(i, other)
			} else {
				s.byClaim[claim] = i
			}
		}
	}
	return s
}

// root is the first pod of the set of a pod.
func (s sets) root(i int) int {
	for s.parent[i] != i {
		s.parent[i] = s.parent[s.parent[i]]
		i = s.parent[i]
	}
	return i
}

func (s sets) join(a, b int) {
	a, b = s.root(a), s.root(b)
	s.parent[max(a, b)] = min(a, b)
}
