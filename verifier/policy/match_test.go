package policy_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

func TestAnImageStandsInByEitherSpellingOfTheOther(t *testing.T) {
	images := policy.Images{Mode: policy.ImagesSubstitute, Mapping: map[string]string{"docker.io/library/postgres:*": "small/postgres:1", "shop/web": "small/web:1"}}
	for image, want := range map[string]string{
		"postgres:16":                   "small/postgres:1",
		"docker.io/library/postgres:16": "small/postgres:1",
		"shop/web":                      "small/web:1",
		"docker.io/shop/web":            "",
		"mypostgres:16":                 "",
		"No Image":                      "",
	} {
		got, ok := images.StandIn(image)
		assert.Equal(t, want, got, image)
		assert.Equal(t, want != "", ok, image)
	}
	images.Mode = policy.ImagesLoad
	_, ok := images.StandIn("shop/web")
	assert.False(t, ok, "only substitute reads the mapping")
}

func TestAWaiverIsAboutOneCheckAndItsPatternOfObjects(t *testing.T) {
	for _, c := range []struct {
		waiver        policy.Waiver
		check, object string
		want          bool
	}{
		{policy.Waiver{Check: "workloads_ready"}, "workloads_ready", "pods shop/a", true},
		{policy.Waiver{Check: "workloads_ready"}, "claims_bound", "pods shop/a", false},
		{policy.Waiver{Check: "workloads_ready", Object: "pods shop/*"}, "workloads_ready", "pods shop/a/b", true},
		{policy.Waiver{Check: "workloads_ready", Object: "pods shop/*"}, "workloads_ready", "pods workshop/a", false},
		{policy.Waiver{Check: "workloads_ready", Object: "pods shop.*"}, "workloads_ready", "pods shop/a", false},
	} {
		assert.Equal(t, c.want, c.waiver.Accepts(c.check, c.object), c)
	}
}
