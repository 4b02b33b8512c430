package kind

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWhatKeepsANodeFromRunningIsSaidBeforeItIsTried(t *testing.T) {
	good := facts{apiVersion: "1.41", os: "linux", cgroup2: true, memory: 8 << 30, disk: 20 << 30, diskAt: "/var/lib/docker", inotifyLimit: 128, inotifyUsed: 10}
	for _, tc := range []struct {
		name string
		mend func(*facts)
		want []string
	}{
		{"nothing", func(*facts) {}, nil},
		{"nothing that can be known of a remote engine", func(f *facts) { *f = facts{apiVersion: "1.50", os: "linux"} }, nil},
		{"an old engine", func(f *facts) { f.apiVersion = "1.40" }, []string{"the container engine speaks API version 1.40, and nodes need 1.41: use Docker 20.10 or newer"}},
		{"an engine for Windows", func(f *facts) { f.os = "windows" }, []string{"the container engine runs windows containers, and nodes need linux: switch it over"}},
		{"rootless with cgroup v1", func(f *facts) { f.rootless, f.cgroup2 = true, false }, []string{"a rootless container engine runs nodes only with cgroup v2: boot with systemd.unified_cgroup_hierarchy=1, or use an engine that runs as root"}},
		{"inotify used up", func(f *facts) { f.inotifyUsed = 110 }, []string{"a node needs 30 inotify instances and 18 of 128 are left: sysctl fs.inotify.max_user_instances=512"}},
		{"little memory", func(f *facts) { f.memory = 1 << 30 }, []string{"a node needs 2.0 GiB of memory and 1.0 GiB are free: stop other programs"}},
		{"a full disk", func(f *facts) { f.disk = 1 << 29 }, []string{"a node needs 3.0 GiB of disk and 0.5 GiB are free in /var/lib/docker: make room, for instance with docker system prune"}},
		{"two things at once", func(f *facts) { f.memory, f.disk = 1, 1 }, []string{
			"a node needs 2.0 GiB of memory and 0.0 GiB are free: stop other programs",
			"a node needs 3.0 GiB of disk and 0.0 GiB are free in /var/lib/docker: make room, for instance with docker system prune"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := good
			tc.mend(&f)
			assert.Equal(t, tc.want, problemsOf(f))
		})
	}
}

func TestWhatThisMachineSaysCountsOnlyForAnEngineOnIt(t *testing.T) {
	root := t.TempDir()
	assert.True(t, onThisMachine("unix:///var/run/docker.sock", root))
	assert.False(t, onThisMachine("unix:///var/run/docker.sock", root+"/in/a/virtual/machine"))
	assert.False(t, onThisMachine("tcp://10.0.0.1:2376", root))
	assert.False(t, onThisMachine("ssh://builder", root))
	assert.False(t, onThisMachine("unix:///var/run/docker.sock", ""))
}

func TestKindSaysWhatItIsDoingInPlainWords(t *testing.T) {
	var told []string
	logger := phases{tell: func(s string) { told = append(told, s) }}
	logger.V(0).Infof("Creating cluster %q ...\n", "x")
	logger.V(0).Infof(" • %s  ...\n", "Ensuring node image (kindest/node:v1.36.2) 🖼️")
	logger.V(0).Infof(" ✓ %s\n", "Preparing nodes 📦")
	logger.V(0).Infof(" • %s  ...\n", "Starting control-plane 🕹️")
	logger.V(1).Infof(" • %s  ...\n", "unimportant")
	assert.Equal(t, []string{"Ensuring node image (kindest/node:v1.36.2)", "Starting control-plane"}, told)
	phases{}.V(0).Infof(" • nobody listens")
}
