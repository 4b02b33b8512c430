// Package cli is what the commands share: exit codes, how errors reach the
// user, output formats and progress.
package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/core/filter"
)

// Exit codes, the same for all commands.
const (
	ExitOK        = 0
	ExitError     = 1   // an error
	ExitUsage     = 2   // invalid flags or arguments, or such that match nothing
	ExitPartial   = 3   // partially completed
	ExitFailed    = 4   // a drill or a verification of a backup failed
	ExitCancelled = 130 // interrupted
)

// ExitHelp is the part of a command's help that explains exit codes.
const ExitHelp = `
Exit status: 0 success; 1 error; 2 invalid usage; 3 partially completed;
4 backup verification failed; 130 interrupted.`

// Status is an error that only sets the exit code, after everything has been
// printed.
type Status int

func (s Status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// UsageError is a mistake in flags or arguments.
type UsageError struct{ Err error }

func (e UsageError) Error() string { return e.Err.Error() }
func (e UsageError) Unwrap() error { return e.Err }

// Usage makes a usage error.
func Usage(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// noticeDelay is how long an interrupted command may take before it prints that it
// is cleaning up.
const noticeDelay = time.Second

// Main runs a command until it ends or a signal interrupts it, and returns the
// exit code. The first signal cancels; a second one ends the process.
func Main(root *cobra.Command, args []string, stdout, stderr io.Writer) int {
	// client-go logs some of the errors that it returns as well; users get each
	// once, from us.
	klog.SetSlogLogger(slog.New(slog.DiscardHandler))
	stdout, stderr = NewTerminal(stdout), NewTerminal(stderr)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ended := make(chan struct{})
	defer close(ended)
	context.AfterFunc(ctx, func() {
		stop()
		select {
		case <-ended:
		case <-time.After(noticeDelay):
			Printf(stderr, "interrupted; cleaning up (interrupt again to stop at once)\n")
		}
	})
	return Run(ctx, root, args, stdout, stderr)
}

// Run executes a command and prints its error, if any, as one message. Both writers
// are terminals or may end up on one: what is written is escaped (see Terminal).
func Run(ctx context.Context, root *cobra.Command, args []string, stdout, stderr io.Writer) int {
	out, errs := NewTerminal(stdout), NewTerminal(stderr)
	code := execute(ctx, root, args, out, errs)
	_, _ = out.Flush(), errs.Flush() // half a character of a stream that is closed
	return code
}

func execute(ctx context.Context, root *cobra.Command, args []string, stdout, stderr *Terminal) int {
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(flagError)
	root.PersistentPreRunE = checkFiles
	args, err := unaccustomed(root, args)
	if err == nil {
		root.SetArgs(args)
		err = root.ExecuteContext(ctx)
	}
	var status Status
	var usage UsageError
	var noMatch *filter.NoMatchError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &status):
		return int(status)
	case ctx.Err() != nil:
		Printf(stderr, "interrupted: %s\n", oneLine(err))
		return ExitCancelled
	case errors.As(err, &usage), errors.As(err, &noMatch):
		Printf(stderr, "error: %s\n", oneLine(err))
		return ExitUsage
	}
	Printf(stderr, "error: %s\n", oneLine(err))
	return ExitError
}

// oneLine keeps a message readable when errors were joined, and leaves out passwords
// in URLs, which libraries repeat.
func oneLine(err error) string {
	return userInURL.ReplaceAllString(strings.ReplaceAll(err.Error(), "\n", "; "), "$1***@")
}

var userInURL = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/@"']+@`)

// Group makes a command that only has subcommands.
func Group(use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs} // RunE has the better message
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return Usage("unknown command %q for %s (see %s --help)", args[0], c.CommandPath(), c.CommandPath())
	}
	c.AddCommand(children...)
	return c
}

// Args makes the argument rule of a command: between least and most, described
// by the command's own usage line.
func Args(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return Usage("%d arguments, usage: %s", len(args), c.UseLine())
		}
		return nil
	}
}

// OneBackup is the rule of a command that is about one backup.
func OneBackup(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return Usage("which backup? (lifeboat backup get lists them) usage: %s", c.UseLine())
	}
	return Args(1, 1)(c, args)
}

// NoArgs is the rule of a command that takes what others take as an argument by a
// flag.
func NoArgs(flag string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 1 && !c.Flags().Changed(flag) {
			return Usage("unexpected argument %q: did you mean --%s %s?", args[0], flag, args[0])
		}
		return Args(0, 0)(c, args)
	}
}

// Format is an output format; it is a flag.Value.
type Format string

// The output formats.
const (
	Table Format = "table"
	JSON  Format = "json"
	YAML  Format = "yaml"
)

func (f *Format) String() string { return string(*f) }

// Type is what help texts show for the value.
func (f *Format) Type() string { return "table|json|yaml" }

// Set checks the value of the flag.
func (f *Format) Set(s string) error {
	if !slices.Contains([]Format{Table, JSON, YAML}, Format(s)) {
		return errors.New("must be table, json or yaml")
	}
	*f = Format(s)
	return nil
}

// AddOutput adds the flag -o, --output.
func AddOutput(c *cobra.Command, f *Format) {
	*f = Table
	c.Flags().VarP(f, "output", "o", "output format")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp)) // fails only for an unknown flag
}

// Print writes v as JSON or YAML, or calls table.
func Print(w io.Writer, f Format, v any, table func(io.Writer) error) error {
	switch f {
	case JSON:
		b, err := indented(v)
		if err != nil {
			return err
		}
		_, err = w.Write(escapeJSON(b))
		return err
	case YAML:
		b, err := yamlOf(v)
		if err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	}
	return table(w)
}

func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// yamlOf writes v as YAML. The library reads and writes some characters raw that
// need escapes: a document with them is written as JSON, which YAML includes.
func yamlOf(v any) ([]byte, error) {
	doc, err := indented(v)
	if err != nil {
		return nil, err
	}
	escaped := escape(string(doc), "\n")
	if escaped == string(doc) {
		b, err := yaml.JSONToYAML(doc)
		if err != nil || escape(string(b), "\n") == string(b) {
			return b, err
		}
	}
	return []byte(escaped), nil
}
