package sabotage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// surroundings are failures of what a drill needs. The backup is healthy:
// it must not be blamed, and nothing must be believed of it.
func surroundings() []Case {
	tarball := func(r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, ".tar.gz") && r.Method == http.MethodGet
	}
	writing := func(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }
	integrity := func(message string) Expectation { return cannotTell(report.LevelIntegrity, message) }
	sandbox := func(message string) Expectation { return cannotTell(report.LevelControlPlane, message) }
	return []Case{
		{"the identity is another's", Encrypted, nil, func(t testing.TB, d *Drill) { d.identify(t, d.keys.Other) }, integrity("encrypted to other recipients")},
		{"no identity was given", Encrypted, nil, func(_ testing.TB, d *Drill) { d.Args = nil }, integrity("no identity was given")},
		{"there is no such backup", Ours, nil, func(_ testing.TB, d *Drill) { d.Backup = "nope" }, integrity("no such backup")},
		{"the store denies the tarball", Ours, nil, onS3(func(w http.ResponseWriter, r *http.Request) bool { return tarball(r) && deny(w) }), integrity("could not be read")},
		{"the store denies everything", Ours, nil, onS3(func(w http.ResponseWriter, _ *http.Request) bool { return deny(w) }), Expectation{Level: report.LevelIntegrity, Verdict: report.Error, Finding: report.Finding{Message: "denied"}, NoEvidence: true}},
		{"the store breaks off in the middle of the tarball", Ours, nil, onS3(func(w http.ResponseWriter, r *http.Request) bool { return tarball(r) && breakOff(w) }), integrity("could not be read")},
		{"the store never answers", Ours, nil, slowly("4s", onS3(func(_ http.ResponseWriter, r *http.Request) bool {
			if tarball(r) {
				<-r.Context().Done()
			}
			return tarball(r)
		})), integrity("longer than 4s")},
		{"the location is read-only", Ours, nil, onS3(func(w http.ResponseWriter, r *http.Request) bool { return writing(r) && deny(w) }), Expectation{NoEvidence: true}},
		{"the location is read-only, and the backup is bad", Ours, damage(store.Contents, half), onS3(func(w http.ResponseWriter, r *http.Request) bool { return writing(r) && deny(w) }),
			Expectation{Level: report.LevelIntegrity, Verdict: report.Failed, Finding: report.Finding{Check: "archive_readable", Object: Ours.key(store.Contents)}, NoEvidence: true}},

		{"there is no program for the sandbox", Ours, nil, controlPlane("", 0), sandbox("no such file")},
		{"the sandbox ends at once", Ours, nil, controlPlane("#!/bin/sh\nexit 3\n", 0o700), sandbox("exit status 3")},
		{"the sandbox says something else than that it is ready", Ours, nil, controlPlane("#!/bin/sh\necho hello\nsleep 60\n", 0o700), sandbox("hello")},
		{"the sandbox never becomes ready", Ours, nil, slowly("4s", controlPlane("#!/bin/sh\nexec sleep 60\n", 0o700)), sandbox("longer than 4s")},
		{"the disk of the sandbox is full", Ours, nil, func(t testing.TB, d *Drill) {
			// A limit of the process fails a write as a full disk does.
			controlPlane(fmt.Sprintf("#!/bin/sh\nulimit -f 1024\nexec %s \"$@\"\n", rig.ControlPlaneBinary(t)), 0o700)(t, d)
		}, sandbox("file too large")},
		{"there is no folder for temporary files", Ours, nil, func(_ testing.TB, d *Drill) { d.Env = append(d.Env, "TMPDIR=/nonexistent") }, sandbox("/nonexistent")},
		{"the sandbox dies in the middle of the restore", Ours, nil, func(_ testing.TB, d *Drill) { d.During = d.killSandbox }, sandbox("cannot reach the API server")},
		{"the time is up", Ours, nil, slowly("1s", nil), sandbox("longer than 1s")},
	}
}

// identify gives the drill an identity in the place of any other.
func (d *Drill) identify(t testing.TB, identity string) {
	d.Args = []string{"--identity", writeFile(t, "identity", identity+"\n", 0o600)}
}

func writeFile(t testing.TB, name, content string, mode os.FileMode) string {
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// onS3 drills through a server that answers some requests by itself.
func onS3(answer func(http.ResponseWriter, *http.Request) bool) func(testing.TB, *Drill) {
	return func(t testing.TB, d *Drill) {
		prefix := strings.ReplaceAll(strings.ToLower(filepath.Base(t.TempDir())), "_", "-") + strconv.FormatInt(time.Now().UnixNano(), 36)
		to := filepath.Join(d.S3.Dir, d.S3.Bucket, prefix)
		if err := os.CopyFS(to, os.DirFS(d.Dir)); err != nil {
			t.Fatal(err)
		}
		server := d.S3
		server.Endpoint = rig.AnsweringProxy(t, server.Endpoint, answer)
		d.Dir, d.Location = to, server.URL(prefix)
	}
}

func deny(w http.ResponseWriter) bool {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusForbidden)
	_, _ = fmt.Fprint(w, `<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`) // whoever asked may have gone
	return true
}

func breakOff(w http.ResponseWriter) bool {
	w.Header().Set("Content-Length", "100000")
	_, _ = w.Write([]byte("the beginning"))
	panic(http.ErrAbortHandler)
}

// slowly bounds the drill's time.
func slowly(timeout string, under func(testing.TB, *Drill)) func(testing.TB, *Drill) {
	return func(t testing.TB, d *Drill) {
		if under != nil {
			under(t, d)
		}
		d.Args = append(d.Args, "--timeout", timeout)
	}
}

// policy asks for the drill by a DrillPolicy with these fields of its spec; its
// level is kind, so that it may hold any field, and the drill's level outranks
// it.
func policy(fields string) func(testing.TB, *Drill) {
	return func(t testing.TB, d *Drill) {
		text := fmt.Sprintf("apiVersion: lifeboat.dev/v1alpha1\nkind: DrillPolicy\nmetadata: {name: sabotage}\nspec:\n  select: {backups: [%s]}\n  level: kind\n%s", d.Backup, fields)
		d.Args = append(d.Args, "--policy", writeFile(t, "policy.yaml", text, 0o600))
	}
}

// controlPlane replaces lifeboat-controlplane by another program, or
// removes it if the program is empty.
func controlPlane(script string, mode os.FileMode) func(testing.TB, *Drill) {
	return func(t testing.TB, d *Drill) {
		path := filepath.Join(t.TempDir(), "lifeboat-controlplane")
		if script != "" {
			path = writeFile(t, "lifeboat-controlplane", script, mode)
		}
		d.Args = append(d.Args, "--controlplane-binary", path)
	}
}

// killSandbox kills the processes of a control plane in the middle of the
// restore.
func (d *Drill) killSandbox(ctx context.Context) error {
	return d.midway(ctx, func() error { return killAll(d.Temp) })
}

// killNode removes the node of a kind cluster in the middle of the restore. The
// folder of a cluster has its name.
func (d *Drill) killNode(ctx context.Context) error {
	return d.midway(ctx, func() error {
		folders, err := filepath.Glob(filepath.Join(d.Temp, "lifeboat-*"))
		if err != nil || len(folders) != 1 {
			return fmt.Errorf("there is not one folder of a cluster in %s: %v, %w", d.Temp, folders, err)
		}
		if strings.HasPrefix(filepath.Base(folders[0]), "lifeboat-controlplane-") {
			return nil // a level without nodes
		}
		out, err := exec.CommandContext(ctx, "docker", "rm", "--force", "--volumes", filepath.Base(folders[0])+"-control-plane").CombinedOutput()
		if err != nil {
			return fmt.Errorf("remove the node: %w: %s", err, out)
		}
		return nil
	})
}

// midway acts when the restore has made the namespace. A drill that has no
// sandbox, or never restores, is over before.
func (d *Drill) midway(ctx context.Context, act func() error) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if d.restoring(ctx) {
			return act()
		}
	}
}

func (d *Drill) restoring(ctx context.Context) bool {
	var kubeconfig []byte
	_ = filepath.WalkDir(d.Temp, func(path string, _ fs.DirEntry, err error) error { // what goes away meanwhile is looked for again
		if err == nil && filepath.Base(path) == "kubeconfig" {
			kubeconfig, err = os.ReadFile(path)
		}
		return err
	})
	client, err := cluster.FromKubeconfig(kubeconfig, "lifeboat-sabotage")
	if err != nil {
		return false
	}
	_, err = client.Get(ctx, item.Resource{Version: "v1", Name: "namespaces", Kind: "Namespace"}, "", "boatyard")
	return err == nil
}

// killAll kills every process that has the folder in its command line.
func killAll(dir string) error {
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	killed := 0
	for _, p := range procs {
		cmdline, err := os.ReadFile(filepath.Join(p, "cmdline"))
		if err != nil || !strings.Contains(string(cmdline), dir) {
			continue // it has ended, or is another's
		}
		pid, err := strconv.Atoi(filepath.Base(p))
		if err != nil {
			return err
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		killed++
	}
	if killed == 0 {
		return errors.New("there is no process of a sandbox in " + dir)
	}
	return nil
}
