package kind

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Sandboxes are distinguished from other clusters only by their name: kind sets no
// label of ours on its containers. The name records who created it and when:
//
//	lifeboat-<machine>-<pid>-<unix time>-<random>
//
// It is at most 45 characters long: kind warns above 50, because the host name
// of the node has "-control-plane" behind it.
var nameForm = regexp.MustCompile(`^lifeboat-([0-9a-f]{8})-([1-9][0-9]{0,9})-([1-9][0-9]{9})-([0-9a-f]{6})$`)

// nodeSuffix makes the name of the only node, and of its container, of the name
// of the cluster.
const nodeSuffix = "-control-plane"

// name is the name of a sandbox, read.
type name struct {
	machine string // identifies the boot or container in which pid is valid
	pid     int    // of the verifier that made it
	made    time.Time
	random  string
}

func (n name) String() string {
	return fmt.Sprintf("lifeboat-%s-%d-%d-%s", n.machine, n.pid, n.made.Unix(), n.random)
}

func (n name) node() string { return n.String() + nodeSuffix }

// newName makes a name that no one else makes: kind deletes by name.
func newName(machine string, pid int, at time.Time) name {
	var random [3]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return name{machine: machine, pid: pid, made: time.Unix(at.Unix(), 0), random: hex.EncodeToString(random[:])}
}

// parseName reads the name of a cluster. A name that is not exactly of our form
// is another process's.
func parseName(s string) (name, bool) {
	m := nameForm.FindStringSubmatch(s)
	if m == nil {
		return name{}, false
	}
	pid, err := strconv.Atoi(m[2])
	if err != nil {
		return name{}, false
	}
	seconds, err := strconv.ParseInt(m[3], 10, 64)
	if err != nil {
		return name{}, false
	}
	return name{machine: m[1], pid: pid, made: time.Unix(seconds, 0), random: m[4]}, true
}
