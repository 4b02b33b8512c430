package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/apply"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/restore"
	"github.com/lifeboat-backup/lifeboat/test/fixtures/populate"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

// claims that a story of clusters begun and ended can make.
const (
	backupName = "nightly-1"
	schedule   = "nightly"
)

func (d *demo) story(ctx context.Context) error {
	if err := os.Mkdir(d.temp(), 0o700); err != nil {
		return err
	}
	before, err := d.backedUpAndLost(ctx)
	if err != nil {
		return err
	}
	if err := d.restored(ctx, before); err != nil {
		return err
	}
	if err := d.drilled(ctx); err != nil {
		return err
	}
	if err := d.sabotage(ctx); err != nil {
		return err
	}
	if err := d.ran(ctx); err != nil {
		return err
	}
	return d.measured(ctx)
}

func (d *demo) location() string { return filepath.Join(d.dir, "bucket") }

// backedUpAndLost fills a cluster, backs it up, and throws it away. It returns
// what the cluster held.
func (d *demo) backedUpAndLost(ctx context.Context) (inventory, error) {
	d.say("A cluster: etcd, kube-apiserver and controllers")
	source, kubeconfig, err := d.cluster(ctx, "source")
	if err != nil {
		return nil, err
	}
	defer d.end(source)
	began := time.Now()
	summary, err := populate.Apply(ctx, kubeconfig.raw, populate.Options{Objects: d.objects})
	if err != nil {
		return nil, fmt.Errorf("fill the cluster: %w", err)
	}
	before, err := take(ctx, kubeconfig.raw)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(d.out, "Kubernetes %s, filled with %d objects, %d in all.\n", kubeconfig.version, len(summary.Keys), len(before))
	d.claim("a cluster with objects", len(before) >= d.objects, time.Since(began), "%d objects in Kubernetes %s", len(before), kubeconfig.version)

	d.say("Back it up")
	var made struct {
		Backup struct {
			Status struct {
				Phase string `json:"phase"`
			} `json:"status"`
		} `json:"backup"`
		Items int `json:"items"`
	}
	began = time.Now()
	if _, err := d.show(ctx, "lifeboat", "backup", "create", backupName, "--labels", "velero.io/schedule-name="+schedule,
		"--location", d.url(), "--kubeconfig", kubeconfig.path); err != nil {
		return nil, err
	}
	took := time.Since(began)
	code, err := d.quiet(ctx, &made.Backup, "lifeboat", "backup", "get", backupName, "--location", d.url(), "-o", "json")
	if err != nil {
		return nil, err
	}
	items, err := d.itemsOf(ctx)
	if err != nil {
		return nil, err
	}
	d.claim("backed up", code == 0 && made.Backup.Status.Phase == "Completed" && items >= d.objects, took, "%s, %d items", made.Backup.Status.Phase, items)

	d.say("Lose the cluster")
	began = time.Now()
	err = source.Down(ctx)
	_, gone := take(ctx, kubeconfig.raw)
	d.claim("lost", err == nil && gone != nil, time.Since(began), "the API server is gone, with its data")
	fmt.Fprintln(d.out, "The API server does not answer any more, and its data is deleted.")
	return before, err
}

// restored brings the backup into a new cluster and holds what is there against
// what was lost.
func (d *demo) restored(ctx context.Context, before inventory) error {
	d.say("Restore into a new cluster")
	target, kubeconfig, err := d.cluster(ctx, "target")
	if err != nil {
		return err
	}
	defer d.end(target)
	began := time.Now()
	if _, err := d.quiet(ctx, nil, "lifeboat", "plan", "--from-backup", backupName, "--location", d.url(), "--kubeconfig", kubeconfig.path); err != nil {
		return err
	}
	var r restore.Result
	code, err := d.quiet(ctx, &r, "lifeboat", "restore", "create", "--from-backup", backupName, "--location", d.url(), "--kubeconfig", kubeconfig.path, "-o", "json")
	if err != nil {
		return err
	}
	took := time.Since(began)
	after, err := take(ctx, kubeconfig.raw)
	if err != nil {
		return err
	}
	outcome := map[item.Key]apply.Change{}
	for _, c := range r.Changes {
		outcome[c.Key] = c
	}
	equal, byRule, lost := before.compare(after, outcome)
	fmt.Fprintf(d.out, "%d created, %d failed; of the %d objects that were lost %d are back and equal, %d are not restored by rule, %d are missing or differ.\n",
		r.Changes.Count(apply.Created), r.Changes.Count(apply.Failed), len(before), equal, byRule, len(lost))
	for _, l := range lost {
		fmt.Fprintln(d.out, "  ", l)
	}
	d.claim("restored", code == 0 && len(lost) == 0 && equal > 0, took, "%d of %d objects back and equal, %d left out by rule, %d lost", equal, len(before), byRule, len(lost))

	began = time.Now()
	code, err = d.quiet(ctx, &r, "lifeboat", "restore", "create", "again", "--from-backup", backupName, "--location", d.url(), "--kubeconfig", kubeconfig.path, "-o", "json")
	if err != nil {
		return err
	}
	changed := r.Changes.Count(apply.Created) + r.Changes.Count(apply.Updated)
	fmt.Fprintf(d.out, "Restored once more: %d changed, %d unchanged.\n", changed, r.Changes.Count(apply.Unchanged))
	d.claim("restored twice", code == 0 && changed == 0, time.Since(began), "the second restore changed %d objects", changed)
	return nil
}

// drilled proves the backup in an ephemeral cluster.
func (d *demo) drilled(ctx context.Context) error {
	d.say("Drill the backup in an ephemeral control plane")
	began := time.Now()
	code, err := d.show(ctx, "lifeboat-verifier", "drill", "--location", d.url(), "--schedule", schedule, "--level", "controlplane")
	if err != nil {
		return err
	}
	rep, err := d.evidence(d.location())
	if err != nil {
		return err
	}
	left, err := os.ReadDir(d.temp())
	if err != nil {
		return err
	}
	d.claim("drilled", code == 0 && rep.Verdict == report.Passed && rep.Items.Equal == rep.Items.Expected && rep.Items.Expected > 0,
		time.Since(began), "%s: %d of %d items equal", rep.Verdict, rep.Items.Equal, rep.Items.Expected)
	d.claim("nothing left of the sandbox", len(left) == 0, 0, "%d files or folders", len(left))
	return nil
}

// evidence reads the one report of a location.
func (d *demo) evidence(location string) (report.Report, error) {
	files, err := filepath.Glob(filepath.Join(location, "metadata", "lifeboat", "drills", backupName, "*.json"))
	if err != nil {
		return report.Report{}, err
	}
	if len(files) != 1 {
		return report.Report{}, fmt.Errorf("%d pieces of evidence in %s, want one", len(files), location)
	}
	f, err := os.Open(files[0])
	if err != nil {
		return report.Report{}, err
	}
	defer f.Close()
	return report.Decode(f)
}

// itemsOf counts the items that describe lists.
func (d *demo) itemsOf(ctx context.Context) (int, error) {
	var raw json.RawMessage
	if _, err := d.quiet(ctx, &raw, "lifeboat", "backup", "describe", backupName, "--location", d.url(), "--details", "-o", "json"); err != nil {
		return 0, err
	}
	var described struct {
		Items []string `json:"items"`
	}
	err := json.Unmarshal(raw, &described)
	return len(described.Items), err
}

type access struct {
	raw     []byte
	path    string
	version string
}

func (d *demo) cluster(ctx context.Context, name string) (*sandbox.ControlPlane, access, error) {
	cp := &sandbox.ControlPlane{Binary: filepath.Join(d.bin, "lifeboat-controlplane"), Dir: d.dir}
	c, err := cp.Up(ctx)
	if err != nil {
		return nil, access{}, fmt.Errorf("start the %s cluster: %w", name, err)
	}
	path := filepath.Join(d.dir, name+".kubeconfig")
	if err := os.WriteFile(path, c.Kubeconfig, 0o600); err != nil {
		d.end(cp)
		return nil, access{}, err
	}
	return cp, access{raw: c.Kubeconfig, path: path, version: c.Version}, nil
}

// end removes a cluster, also when the demo was interrupted.
func (d *demo) end(cp *sandbox.ControlPlane) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := cp.Down(ctx); err != nil {
		fmt.Fprintln(d.out, "error: end a cluster:", err)
	}
}
