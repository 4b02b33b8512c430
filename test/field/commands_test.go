//go:build e2e

package field_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/client-go/util/jsonpath"

	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

type command = func(ts *testscript.TestScript, neg bool, args []string)

// commands are those that the scripts have besides testscript's own. README.md
// describes them.
func commands(controlPlane string) map[string]command {
	return map[string]command{
		"cluster":    func(ts *testscript.TestScript, neg bool, args []string) { startCluster(ts, neg, args, controlPlane) },
		"use":        use,
		"exits":      exits,
		"eventually": eventually,
		"json":       jsonValue,
	}
}

const stopLimit = 30 * time.Second

// startCluster starts a control plane and selects it.
func startCluster(ts *testscript.TestScript, neg bool, args []string, binary string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: cluster NAME [CONTROLLERS]")
	}
	c := &sandbox.ControlPlane{Binary: binary, AllowEgress: true}
	if len(args) == 2 {
		c.Controllers = args[1]
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	up, err := c.Up(ctx)
	ts.Check(err)
	ts.Defer(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
		defer cancel()
		if err := c.Down(ctx); err != nil {
			ts.Logf("stop %s: %v", args[0], err)
		}
	})
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".kubeconfig"), up.Kubeconfig, 0o600))
	use(ts, false, args[:1])
}

// use selects a cluster for the programs that follow.
func use(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: use NAME")
	}
	path := ts.MkAbs(args[0] + ".kubeconfig")
	if _, err := os.Stat(path); err != nil {
		ts.Fatalf("there is no cluster %s: %v", args[0], err)
	}
	ts.Setenv("KUBECONFIG", path)
}

// exits runs a program and wants one exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG…]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := run(ts, args[1:]); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func run(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(args[0], args[1:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	ts.Check(err)
	return 0
}

// eventually repeats a program until its standard output matches. What the control
// plane's controllers do takes a moment.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually PATTERN PROGRAM [ARG…]")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if run(ts, args[1:]) == 0 && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no match of %q within 30 s", args[0])
		}
	}
}

// jsonValue compares a value of a JSON document with a text.
func jsonValue(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: [!] json FILE JSONPATH VALUE")
	}
	var document any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &document); err != nil {
		ts.Fatalf("%s is not JSON: %v", args[0], err)
	}
	path := jsonpath.New(args[0]).AllowMissingKeys(true)
	ts.Check(path.Parse(args[1]))
	var got strings.Builder
	ts.Check(path.Execute(&got, document))
	if (got.String() == args[2]) == neg {
		ts.Fatalf("%s %s is %q", args[0], args[1], got.String())
	}
}
