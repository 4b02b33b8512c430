//go:build unix

package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary play the other processes of these tests:
// lifeboat-controlplane, when it gets its flags, with a fault that is named by
// --controllers, because that is what a test can pass through ControlPlane; and
// a verifier that is going to be killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "--data-dir":
			fakeControlPlane(os.Args[2], os.Args[4])
		case "verifier":
			fakeVerifier(os.Args[2], os.Args[3])
		case "sleep":
			time.Sleep(time.Minute)
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

func fakeControlPlane(dir, fault string) {
	// Who is alive is asked after the data directory is gone.
	outside := filepath.Dir(filepath.Dir(dir))
	note(outside, os.Getpid())
	log := func(text string) {
		must(os.WriteFile(filepath.Join(dir, "apiserver.log"), []byte(text), 0o600))
	}
	ready := func() {
		kubeconfig := filepath.Join(dir, "kubeconfig")
		if fault != "ready without a kubeconfig" {
			must(os.WriteFile(kubeconfig, []byte("who: admin\n"), 0o600))
		}
		line, err := json.Marshal(event{Event: "ready", Server: "https://127.0.0.1:1", Kubeconfig: kubeconfig, Version: "v1.2.3"})
		must(err)
		fmt.Println(string(line))
	}
	untilStdinEnds := func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	forever := func() {
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
		time.Sleep(time.Minute)
		os.Exit(0)
	}

	switch fault {
	case "none", "ready without a kubeconfig":
		log(strings.Join(os.Environ(), "\n"))
		ready()
		untilStdinEnds()
	case "dies":
		log("first line\n" + strings.Repeat("x", 2*maxTail) + "\nlast line\n")
		os.Exit(3)
	case "dies before it has a log":
		fmt.Fprintln(os.Stderr, "exec format is beyond me")
		os.Exit(3)
	case "says why it fails":
		fmt.Println(`{"event":"error","error":"the port is in use"}`)
		os.Exit(1)
	case "prints garbage":
		fmt.Println("I0102 starting up")
		untilStdinEnds()
	case "prints without end":
		for {
			if _, err := fmt.Print(strings.Repeat("x", 4096)); err != nil {
				os.Exit(1)
			}
		}
	case "hangs":
		forever()
	case "ignores the end of its stdin":
		ready()
		forever()
	case "does not end":
		child := exec.Command(os.Args[0], "sleep")
		must(child.Start())
		note(outside, child.Process.Pid)
		ready()
		forever()
	case "dies later":
		ready()
		log("all was well\n")
		for {
			if _, err := os.Stat(filepath.Join(outside, "die")); err == nil {
				fmt.Println(`{"event":"error","error":"kube-controller-manager ended"}`)
				os.Exit(1)
			}
			time.Sleep(5 * time.Millisecond)
		}
	default:
		panic("no such fault: " + fault)
	}
}

// fakeVerifier brings a sandbox up and waits to be killed.
func fakeVerifier(dir, fault string) {
	self, err := os.Executable()
	must(err)
	c := &ControlPlane{Binary: self, Dir: dir, Controllers: fault}
	_, err = c.Up(context.Background())
	must(err)
	fmt.Println("up")
	time.Sleep(time.Minute)
	os.Exit(0)
}

func note(dir string, pid int) {
	f, err := os.OpenFile(filepath.Join(dir, "pids"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(err)
	_, err = fmt.Fprintln(f, pid)
	must(err)
	must(f.Close())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
