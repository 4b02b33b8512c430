package sabotage

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/lifeboat-backup/lifeboat/test/fixtures/populate"
	"github.com/lifeboat-backup/lifeboat/test/rig"
)

//go:embed boatyard.yaml
var boatyard []byte

// afterwards is made between Lifeboat's two backups: what distinguishes them.
const afterwards = "{apiVersion: v1, kind: ConfigMap, metadata: {name: log, namespace: boatyard}, data: {entry: all well}}"

// Keys are those of the encrypted backups, in the form of age.
type Keys struct {
	Recipient string
	Identity  string // of the recipient
	Other     string // an identity that is not a recipient's
}

// Sources are the healthy backups.
type Sources struct {
	backups map[Source]*Backup
	keys    Keys
}

// NewSources makes them: two clusters are filled and backed up.
func NewSources(t testing.TB, keys Keys) *Sources {
	t.Helper()
	fixture := rig.SmallBucket(t)
	s := &Sources{keys: keys, backups: map[Source]*Backup{Veleros: {Dir: fixture, Name: Veleros.name()}}}
	encrypt := []string{"--encrypt-to", keys.Recipient}

	yard := rig.ControlPlane(t).Kubeconfig
	fill(t, yard, boatyard)
	s.back(t, yard, Ours, OurEarlier)
	s.back(t, yard, Encrypted, OurEarlier, encrypt...)
	fill(t, yard, []byte(afterwards))
	s.back(t, yard, Ours, OurBackup)
	s.back(t, yard, Encrypted, OurBackup, encrypt...)
	for _, from := range []Source{OneNamespace, BySelector, SomeKinds, ClusterOnly} {
		s.back(t, yard, from, OurBackup, from.options()...)
	}

	large := rig.ControlPlane(t).Kubeconfig
	if _, err := populate.Apply(t.Context(), large, populate.Options{}); err != nil {
		t.Fatal(err)
	}
	s.back(t, large, Large, OurBackup)
	return s
}

func fill(t testing.TB, kubeconfig, yaml []byte) {
	t.Helper()
	all, err := populate.Parse(yaml)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := populate.Create(t.Context(), kubeconfig, all); err != nil {
		t.Fatal(err)
	}
}

func (s *Sources) back(t testing.TB, kubeconfig []byte, from Source, name string, options ...string) {
	t.Helper()
	if s.backups[from] == nil {
		s.backups[from] = &Backup{Dir: t.TempDir(), Name: OurBackup}
	}
	args := []string{"backup", "create", name, "--location", "file://" + s.backups[from].Dir, "--kubeconfig", writeFile(t, "kubeconfig", string(kubeconfig), 0o600)}
	out, err := exec.CommandContext(t.Context(), rig.Program(t, "lifeboat"), append(args, options...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("back up %s: %v: %s", from, err, out)
	}
}

// Drill makes what a case is about, in a folder of its own.
func (s *Sources) Drill(t testing.TB, c Case, server rig.S3Server) *Drill {
	t.Helper()
	b, err := s.backups[c.From].Copy(filepath.Join(t.TempDir(), "location"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Make != nil {
		if err := c.Make(b); err != nil {
			t.Fatalf("sabotage: %v", err)
		}
	}
	d := &Drill{Location: "file://" + b.Dir, Backup: b.Name, Dir: b.Dir, Temp: filepath.Join(t.TempDir(), "tmp"), S3: server, keys: s.keys}
	if err := os.Mkdir(d.Temp, 0o700); err != nil {
		t.Fatal(err)
	}
	if c.From == Encrypted {
		d.identify(t, s.keys.Identity)
	}
	if c.Under != nil {
		c.Under(t, d)
	}
	return d
}

// String is how tables call a case.
func (c Case) String() string { return fmt.Sprintf("%s: %s", c.From, c.Name) }
