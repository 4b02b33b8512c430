package kind

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestImagesAreNamedAsTheNodeLooksThemUp(t *testing.T) {
	for image, name := range map[string]string{
		"nginx":                                    "docker.io/library/nginx:latest",
		"nginx:1.27":                               "docker.io/library/nginx:1.27",
		"grafana/grafana:11":                       "docker.io/grafana/grafana:11",
		"index.docker.io/library/nginx:1":          "docker.io/library/nginx:1",
		"registry.k8s.io/pause:3.10":               "registry.k8s.io/pause:3.10",
		"localhost:5000/app":                       "localhost:5000/app:latest",
		"app@sha256:" + digest:                     "docker.io/library/app@sha256:" + digest,
		"ghcr.io/acme/app:v1@sha256:" + digest:     "ghcr.io/acme/app@sha256:" + digest,
		"registry.local:5000/a/b/c/app:2026.11.22": "registry.local:5000/a/b/c/app:2026.11.22",
	} {
		wants, missing := wantsOf([]string{image}, policy.Images{})
		assert.Equal(t, []want{{image: image, name: name, source: image}}, wants)
		assert.Empty(t, missing)
	}
}

func TestWhatIsNoImageIsMissingWithTheReason(t *testing.T) {
	wants, missing := wantsOf([]string{"Nginx:1.27", "nginx:1.27", ""}, policy.Images{})
	assert.Len(t, wants, 1)
	assert.Equal(t, map[string]string{
		"Nginx:1.27": "is not an image reference: invalid reference format: repository name (library/Nginx) must be lowercase",
		"":           "is not an image reference: invalid reference format",
	}, missing)
}

func TestWhichImageStandsIn(t *testing.T) {
	mapping := map[string]string{
		"docker.io/library/postgres:16": "small/postgres:1",
		"nginx:*":                       "small/web:any",
		"nginx:1.2*":                    "small/web:1.2",
		"nginx:1.27":                    "small/web:1.27",
		"registry.acme.io/*":            "small/pause:1",
	}
	for image, want := range map[string]string{
		"nginx:1.27":                    "small/web:1.27",
		"nginx:1.26":                    "small/web:1.2",
		"nginx:2":                       "small/web:any",
		"postgres:16":                   "small/postgres:1",
		"docker.io/library/postgres:16": "small/postgres:1",
		"postgres:17":                   "postgres:17",
		"registry.acme.io/a/b:3":        "small/pause:1",
		"registry-acme.io/a/b:3":        "registry-acme.io/a/b:3",
		"mynginx:2":                     "mynginx:2",
	} {
		wants, missing := wantsOf([]string{image}, policy.Images{Mode: policy.ImagesSubstitute, Mapping: mapping})
		if assert.Len(t, wants, 1) {
			assert.Equal(t, want, wants[0].source, image)
		}
		assert.Empty(t, missing)
	}
	wants, _ := wantsOf([]string{"nginx:1.27"}, policy.Images{Mode: policy.ImagesLoad, Mapping: mapping})
	assert.Equal(t, "nginx:1.27", wants[0].source, "only substitute reads the mapping")
	_, missing := wantsOf([]string{"nginx:1"}, policy.Images{Mode: policy.ImagesSubstitute, Mapping: map[string]string{"*": "No Image"}})
	assert.Equal(t, "No Image, its substitute, is not an image reference: invalid reference format: repository name (library/No Image) must be lowercase", missing["nginx:1"])
}

func TestImagesOfTheNodeAreFoundByNameAndByDigest(t *testing.T) {
	table := `REF TYPE DIGEST SIZE PLATFORMS LABELS
docker.io/library/nginx:1.27 application/vnd.oci.image.manifest.v1+json sha256:` + digest + ` 12.0 MiB linux/amd64 -
registry.k8s.io/pause:3.10 application/vnd.oci.image.index.v1+json sha256:ff 1 KiB linux/amd64 io.cri-containerd.image=managed`
	images := parseOnNode(table)
	assert.Equal(t, []onNode{{"docker.io/library/nginx:1.27", "sha256:" + digest}, {"registry.k8s.io/pause:3.10", "sha256:ff"}}, images)
	assert.Empty(t, parseOnNode(""))

	for source, name := range map[string]string{
		"nginx:1.27":                            "docker.io/library/nginx:1.27",
		"nginx@sha256:" + digest:                "docker.io/library/nginx:1.27",
		"elsewhere@sha256:" + digest:            "docker.io/library/nginx:1.27", // the same bytes under another name
		"nginx:1.26":                            "",
		"nginx:1.27@sha256:" + digest[1:] + "0": "",
	} {
		found, ok := find(images, source)
		assert.Equal(t, name, found.name, source)
		assert.Equal(t, name != "", ok)
	}
}

func TestAVolumeHasOneFolderOfItsOwn(t *testing.T) {
	path, err := volumePath("pvc-1")
	assert.NoError(t, err)
	assert.Equal(t, "/var/lib/lifeboat/volumes/pvc-1", path)
	for _, bad := range []string{"", ".", "..", "../x", "a/b", "/etc"} {
		_, err := volumePath(bad)
		assert.Error(t, err, bad)
	}
}
