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

// measureVerb makes this program run another one and tell what it took. A
// process of its own does that because the kernel carries the peak memory of a
// parent over to the program that its child becomes (Linux, exec_mmap): a
// child of the bench itself would be charged with the bench's memory.
const measureVerb = "measure-process"

// maxSaid bounds what is kept of a program's output, in bytes.
const maxSaid = 64 << 20

// measureProgram runs a program in dir and returns what it took and what it
// said on stdout.
func measureProgram(ctx context.Context, dir string, env []string, program string, args ...string) (Measurement, []byte, error) {
	self, err := os.Executable()
	if err != nil {
		return Measurement{}, nil, err
	}
	to := filepath.Join(dir, "measurement.json")
	cmd := exec.CommandContext(ctx, self, append([]string{measureVerb, to, program}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	cmd.Env = append(os.Environ(), env...)
	stdout, stderr := said{left: maxSaid}, said{left: 64 << 10}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return Measurement{}, nil, fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	var m Measurement
	data, err := os.ReadFile(to)
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	return m, stdout.Bytes(), err
}

// measureMain is the whole life of the process in between:
// FILE PROGRAM [ARGUMENT ...].
func measureMain(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) < 2 {
		fmt.Fprintln(stderr, "error: a file and a program are needed")
		return 2
	}
	cmd := exec.CommandContext(ctx, args[1], args[2:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	cmd.Stdout, cmd.Stderr = stdout, stderr
	started := time.Now()
	err := cmd.Run()
	took := time.Since(started)
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		return max(1, ended.ExitCode())
	case err != nil:
		fmt.Fprintln(stderr, "error:", err)
		return 1
	}
	s := cmd.ProcessState
	data, err := json.Marshal(Measurement{
		Seconds: took.Seconds(), CPUSeconds: (s.UserTime() + s.SystemTime()).Seconds(), PeakMiB: peakMiB(s),
	})
	if err == nil {
		err = os.WriteFile(args[0], data, 0o600)
	}
	if err != nil {
		fmt.Fprintln(stderr, "error:", err)
		return 1
	}
	return 0
}

// said keeps the beginning of what a program says.
type said struct {
	bytes.Buffer
	left int
}

func (s *said) Write(p []byte) (int, error) {
	kept := p[:min(len(p), s.left)]
	s.left -= len(kept)
	s.Buffer.Write(kept)
	return len(p), nil
}
