package main

import (
	"context"
	_ "embed"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/test/fixtures/populate"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

const (
	nodeImage = "lifeboat/node:v1.34.4" // make node-image makes it
	appImage  = "lifeboat-demo.example/app:1"
)

//go:embed app.yaml
var app string

func (d *demo) apps() string { return filepath.Join(d.dir, "apps") }

// ran drills a backup in a cluster that runs pods, where there is an engine.
func (d *demo) ran(ctx context.Context) error {
	d.say("Drill an application in an ephemeral kind cluster: does it run?")
	if why := noKind(ctx); why != "" {
		fmt.Fprintln(d.out, "Left out:", why)
		return nil
	}
	if err := d.backUpApp(ctx); err != nil {
		return err
	}
	began := time.Now()
	code, err := d.show(ctx, "lifeboat-verifier", "drill", "--location", "file://"+d.apps(), "--latest", "--level", "kind", "--node-image", nodeImage, "--images", "load")
	if err != nil {
		return err
	}
	rep, err := d.evidence(d.apps())
	if err != nil {
		return err
	}
	seconds := 0.0
	if rep.Recovery != nil {
		seconds = rep.Recovery.TimeSeconds
	}
	d.claim("its workloads run again", code == 0 && rep.Verdict == report.Passed && seconds > 0, time.Since(began), "%s; recovered in %.1f s", rep.Verdict, seconds)
	return nil
}

// noKind says why there can be no kind cluster, "" when there can.
func noKind(ctx context.Context) string {
	for _, need := range []struct{ why, command string }{
		{"no docker command", "docker --version"},
		{"no container engine answers", "docker info"},
		{"no node image (make node-image)", "docker image inspect " + nodeImage},
	} {
		args := strings.Fields(need.command)
		if err := exec.CommandContext(ctx, args[0], args[1:]...).Run(); err != nil {
			return need.why
		}
	}
	return ""
}

// backUpApp makes a location with the backup of a small application.
func (d *demo) backUpApp(ctx context.Context) error {
	root, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	if err := rig.BuildWorkloadImage(ctx, filepath.Dir(strings.TrimSpace(string(root))), d.dir, appImage); err != nil {
		return err
	}
	source, kubeconfig, err := d.cluster(ctx, "apps")
	if err != nil {
		return err
	}
	defer d.end(source)
	objects, err := populate.Parse([]byte(strings.ReplaceAll(app, "IMAGE", appImage)))
	if err != nil {
		return err
	}
	if _, err := populate.Create(ctx, kubeconfig.raw, objects); err != nil {
		return err
	}
	_, err = d.quiet(ctx, nil, "lifeboat", "backup", "create", backupName, "--location", "file://"+d.apps(), "--kubeconfig", kubeconfig.path)
	return err
}
