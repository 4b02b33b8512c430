package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		// stubborn is a command that needs longer than anybody waits.
		"stubborn": func() {
			c := &cobra.Command{Use: "stubborn", RunE: func(c *cobra.Command, _ []string) error {
				fmt.Fprintln(c.OutOrStdout(), "ready")
				<-c.Context().Done()
				time.Sleep(time.Hour)
				return nil
			}}
			os.Exit(Main(c, nil, os.Stdout, os.Stderr))
		},
	})
}

func TestASecondInterruptEndsTheProcess(t *testing.T) {
	cmd := exec.Command("stubborn")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	said, err := bufio.NewReader(stderr).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "interrupted; cleaning up (interrupt again to stop at once)\n", said)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	_ = cmd.Wait() // how it ended is in its state
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	assert.True(t, status.Signaled())
}

func run(t *testing.T, ctx context.Context, err error) (code int, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	c := &cobra.Command{Use: "x", RunE: func(*cobra.Command, []string) error { return err }}
	code = Run(ctx, c, nil, &out, &errs)
	return code, errs.String()
}

func TestHowACommandEnds(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx    context.Context
		err    error
		code   int
		stderr string
	}{
		"done":                              {t.Context(), nil, 0, ""},
		"an error":                          {t.Context(), errors.New("no such thing"), 1, "error: no such thing\n"},
		"several errors are one line":       {t.Context(), errors.Join(errors.New("a"), errors.New("b")), 1, "error: a; b\n"},
		"a password in a URL":               {t.Context(), errors.New(`get "https://u:hunter2@host/x" for s3://u:p@b: no`), 1, "error: get \"https://***@host/x\" for s3://***@b: no\n"},
		"usage":                             {t.Context(), Usage("--x is wrong"), 2, "error: --x is wrong\n"},
		"wrapped usage":                     {t.Context(), fmt.Errorf("y: %w", Usage("x")), 2, "error: y: x\n"},
		"partial":                           {t.Context(), Status(ExitPartial), 3, ""},
		"refuted":                           {t.Context(), Status(ExitFailed), 4, ""},
		"interrupted":                       {over, fmt.Errorf("stopped: %w", context.Canceled), 130, "interrupted: stopped: context canceled\n"},
		"interrupted, as a library puts it": {over, errors.New("operation was canceled"), 130, "interrupted: operation was canceled\n"},
		"done in spite of an interrupt":     {over, nil, 0, ""},
	} {
		code, stderr := run(t, c.ctx, c.err)
		assert.Equal(t, c.code, code, name)
		assert.Equal(t, c.stderr, stderr, name)
	}
}

func TestOutputFormats(t *testing.T) {
	v := map[string]any{"name": "x", "n": 1}
	for format, want := range map[Format]string{JSON: "{\n  \"n\": 1,\n  \"name\": \"x\"\n}\n", YAML: "\"n\": 1\nname: x\n", Table: "a table"} {
		var b bytes.Buffer
		require.NoError(t, Print(&b, format, v, func(w io.Writer) error { _, err := fmt.Fprint(w, "a table"); return err }))
		assert.Equal(t, want, b.String())
	}
	var f Format
	assert.Error(t, f.Set("xml"))
	assert.NoError(t, f.Set("yaml"))
}

func TestProgressIsForTerminalsOnly(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress(&b)
	p.Show("%d", 1)
	p.Done()
	assert.Empty(t, b.String())

	p = &Progress{w: &b}
	p.Show("%s", strings.Repeat("x", 300))
	p.Show("too soon")
	p.Done()
	assert.NotContains(t, b.String(), "too soon")
	assert.Less(t, len(b.String()), 300)
	assert.True(t, strings.HasSuffix(b.String(), "\r"), "the line is cleared")
}
