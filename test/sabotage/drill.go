package sabotage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// Drill is one run of the verifier's program on one backup.
type Drill struct {
	Location string // URL
	Backup   string
	Dir      string // the location's folder
	Temp     string // the program's folder for temporary files; empty before and after
	Args     []string
	Env      []string
	// S3 is a server for the cases that need one.
	S3 rig.S3Server
	// During, when set, runs beside the program until ctx is done.
	During func(ctx context.Context) error

	keys Keys
}

// Run drills at a level and says what came of it. A drill that leaves a
// temporary file, writes no evidence, or ends with an exit status that is not
// its verdict's, fails the test.
func (d *Drill) Run(t testing.TB, level report.Level, noEvidence bool) Seen {
	t.Helper()
	args := append([]string{"drill", "--location", d.Location, "--backup", d.Backup, "--level", string(level), "-o", "json"}, d.Args...)
	before := d.others(t)
	if level == report.LevelKind {
		// First, so that a case may say otherwise.
		args = slices.Insert(args, 1, "--images", "load", "--workloads-timeout", "30s")
	}
	began := time.Now()
	code, stdout, stderr, err := d.program(t, args)
	if err != nil {
		t.Fatalf("run lifeboat-verifier: %v", err)
	}
	s := Seen{Level: level, Seconds: time.Since(began).Seconds()}
	if after := d.others(t); after != before {
		t.Errorf("the location had %d files that are not evidence, and has %d", before, after)
	}
	evidence := d.evidence(t)
	if stdout == "" { // refused before there was a drill
		s.Verdict, s.Summary = report.Error, stderr
		if code != 1 || len(evidence) > 0 {
			t.Errorf("exit status %d, evidence %v, and no report: %s", code, evidence, stderr)
		}
		return s
	}
	var rep report.Report
	if err := json.Unmarshal([]byte(stdout), &rep); err != nil {
		t.Fatalf("report: %v: %s", err, stdout)
	}
	s.Verdict, s.Summary, s.Findings = rep.Verdict, rep.Summary, rep.Findings
	for _, stage := range rep.Stages {
		if stage.Error != "" {
			s.Errors = append(s.Errors, stage.Error)
		}
	}
	if noEvidence {
		evidence = append(evidence, "")
	}
	want := map[report.Verdict]int{report.Passed: 0, report.Error: 1, report.Failed: 4}[rep.Verdict]
	if noEvidence && rep.Verdict == report.Passed {
		want = 1
	}
	if code != want {
		t.Errorf("verdict %s with exit status %d: %s", rep.Verdict, code, stderr)
	}
	if len(evidence) != 1 {
		t.Errorf("want one evidence, got %v", evidence)
	}
	if left, err := os.ReadDir(d.Temp); err == nil && len(left) > 0 {
		t.Errorf("the drill left %v", left)
	}
	if strings.Contains(stderr, "panic") {
		t.Error(stderr)
	}
	return s
}

// patience bounds a drill that does not end by itself.
const patience = 5 * time.Minute

func (d *Drill) program(t testing.TB, args []string) (code int, stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, rig.Program(t, "lifeboat-verifier"), args...)
	cmd.Env = append(append(os.Environ(), "TMPDIR="+d.Temp, "LIFEBOAT_CONTROLPLANE="+rig.ControlPlaneBinary(t)), d.Env...)
	// It then removes its sandbox and says what it was doing.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	during := make(chan error, 1)
	go func() {
		if d.During == nil {
			during <- nil
			return
		}
		during <- d.During(ctx)
	}()
	err = cmd.Run()
	cancel()
	if duringErr := <-during; duringErr != nil {
		return 0, "", "", duringErr
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = nil
	}
	return cmd.ProcessState.ExitCode(), out.String(), errOut.String(), err
}

// others counts the files of the location that are not evidence.
func (d *Drill) others(t testing.TB) int {
	t.Helper()
	n := 0
	err := fs.WalkDir(os.DirFS(d.Dir), ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && !strings.HasPrefix(path, store.DrillsPrefix) {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (d *Drill) evidence(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(d.Dir, filepath.FromSlash(store.DrillsPrefix), "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}
