package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func (d *demo) url() string { return "file://" + d.location() }

// temp is where programs may keep temporary files.
func (d *demo) temp() string { return filepath.Join(d.dir, "tmp") }

// show runs a program as a user would, with its command line and output shown.
// Exit codes up to 4 are answers; others are errors.
func (d *demo) show(ctx context.Context, program string, args ...string) (code int, err error) {
	fmt.Fprintf(d.out, "$ %s %s\n", program, strings.Join(args, " "))
	return d.run(ctx, d.out, program, args...)
}

// quiet runs a program, shows its command line, and decodes what it prints
// unless v is nil.
func (d *demo) quiet(ctx context.Context, v any, program string, args ...string) (code int, err error) {
	fmt.Fprintf(d.out, "$ %s %s\n", program, strings.Join(args, " "))
	var out bytes.Buffer
	code, err = d.run(ctx, &out, program, args...)
	if err != nil || v == nil {
		return code, err
	}
	if err := json.Unmarshal(out.Bytes(), v); err != nil {
		return code, fmt.Errorf("%s ended with status %d and did not print JSON: %w", program, code, err)
	}
	return code, nil
}

func (d *demo) run(ctx context.Context, stdout io.Writer, program string, args ...string) (int, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, program), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stdout, cmd.Stderr = stdout, d.out
	cmd.Env = append(os.Environ(), "TMPDIR="+d.temp())
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 1 && exit.ExitCode() <= 4 {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return -1, fmt.Errorf("%s %s: %w", program, args[0], err)
	}
	return 0, nil
}
