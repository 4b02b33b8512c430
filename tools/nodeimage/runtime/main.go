// Command runtime is called in place of runc on hosts whose capability bounding
// set lacks CAP_SYS_RESOURCE (micro virtual machines, nested containers). There
// nothing can have that capability, so runc refuses what asks for "all" of
// them: every privileged container, and with it every kind node.
//
// Where the capability is missing, runtime takes it out of the specification
// that runc is about to read, with the two settings that need it: a negative
// oom_score_adj and resource limits. Then it becomes the program runc.real
// beside it, with the arguments it was given. Where the capability is there it
// changes nothing, so a node image that holds it serves both kinds of hosts.
//
// The format is that of the OCI runtime specification, config.md.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/lifeboat-backup/lifeboat/tools/nodeimage/bounding"
)

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "OCI runtime wrapper:", err)
		os.Exit(1)
	}
}

// run returns only when it could not become runc.
func run(args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	real := filepath.Join(filepath.Dir(self), "runc.real")
	bounded, err := bounding.LacksSysResource()
	if err != nil {
		return err
	}
	if bounded {
		if s, ok := specification(args[1:]); ok {
			if err := rewrite(s); err != nil {
				return err
			}
		}
	}
	if err := syscall.Exec(real, args, os.Environ()); err != nil {
		return fmt.Errorf("run %s: %w", real, err)
	}
	return nil
}

func rewrite(s spec) error {
	old, err := os.ReadFile(s.path)
	if err != nil {
		return err
	}
	mended, err := s.mend(old)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	return os.WriteFile(s.path, mended, 0o600)
}
