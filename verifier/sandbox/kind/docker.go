package kind

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

const (
	maxAnswer  = 16 << 20 // of stdout; the lists of a busy engine are some hundred KiB
	maxWords   = 8 << 10  // of stderr
	waitOutput = time.Second
)

// commandError is a docker command that did not work.
type commandError struct {
	verb  string // "docker pull"
	words string // what it wrote to stderr
	err   error
}

func (e *commandError) Error() string {
	if e.words == "" {
		return e.verb + ": " + e.err.Error()
	}
	return e.verb + ": " + e.words
}

func (e *commandError) Unwrap() error { return e.err }

// words returns what a failed docker command wrote to stderr, or "".
func words(err error) string {
	var e *commandError
	if errors.As(err, &e) {
		return e.words
	}
	return ""
}

// noDaemon reports whether a docker command failed because no daemon runs, in
// the words of docker 20 to 29.
func noDaemon(err error) bool {
	said := words(err)
	return strings.Contains(said, "Cannot connect to the Docker daemon") || strings.Contains(said, "failed to connect to the docker API")
}

// command is a docker command that ends with ctx. It runs in a process group of
// its own: Ctrl-C in a terminal goes to all processes of the foreground group,
// and a removal must outlive it.
func command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.SysProcAttr = ownGroup()
	cmd.WaitDelay = waitOutput
	return cmd
}

// docker runs a docker command and returns its stdout, without the white space
// around it.
func docker(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	out := &kept{most: maxAnswer}
	cmd := command(ctx, args...)
	cmd.Stdin, cmd.Stdout = stdin, out
	err := run(ctx, cmd)
	if err == nil && out.over {
		err = &commandError{verb: verb(cmd), err: fmt.Errorf("printed more than %d bytes", maxAnswer)}
	}
	return strings.TrimSpace(out.String()), err
}

// run runs a command; its error has the exit status and the output.
func run(ctx context.Context, cmd *exec.Cmd) error {
	said := &kept{most: maxWords}
	cmd.Stderr = said
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", verb(cmd), context.Cause(ctx))
	}
	return &commandError{verb: verb(cmd), words: strings.Join(strings.Fields(said.String()), " "), err: err}
}

// verb is the name of a command in messages: docker and its first word.
func verb(cmd *exec.Cmd) string { return "docker " + cmd.Args[1] }

// kept is the beginning of what is written to it.
type kept struct {
	bytes.Buffer
	most int
	over bool
}

// Write never fails: an error would kill the program.
func (k *kept) Write(p []byte) (int, error) {
	if room := k.most - k.Len(); len(p) > room {
		k.over = true
		k.Buffer.Write(p[:room])
		return len(p), nil
	}
	return k.Buffer.Write(p)
}

// lines splits an answer, none for "".
func lines(answer string) []string {
	if answer == "" {
		return nil
	}
	return strings.Split(answer, "\n")
}
