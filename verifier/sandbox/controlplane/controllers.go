package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

// controllersRole is the argument that makes this binary the controller
// manager. The two cannot share a process: their feature gates are one
// package-level set, and each registers it with its own flags.
const controllersRole = "controller-manager"

// controllerFlags are the flags of kube-controller-manager, as kubeadm sets
// them; it does not elect a leader, because there is no second one, and serves
// no port.
func controllerFlags(dataDir string, controllers []string) []string {
	return []string{
		"--controllers=" + strings.Join(controllers, ","),
		"--kubeconfig=" + managerFile,
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + tokenKeyFile,
		"--root-ca-file=" + caCertFile,
		"--cluster-signing-cert-file=" + caCertFile,
		"--cluster-signing-key-file=" + caKeyFile,
		"--leader-elect=false",
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
		"--secure-port=0",
		"--profiling=false",
		// With the attach-detach controller it makes and watches this directory.
		"--flex-volume-plugin-dir=" + filepath.Join(dataDir, "flexvolume"),
	}
}

// startControllers runs this binary again as the controller manager. It cancels
// when the controller manager ends: a cluster that lost its controllers would
// make a good backup look bad. The caller calls stop, which returns when the
// process is gone.
func startControllers(cancel context.CancelCauseFunc, controllers []string) (stop func(), err error) {
	dataDir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("start kube-controller-manager: %w", err)
	}
	self, err := executable()
	if err != nil {
		return nil, fmt.Errorf("start kube-controller-manager: %w", err)
	}
	log, err := openLog("controller-manager.log")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, append([]string{controllersRole}, controllerFlags(dataDir, controllers)...)...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = dieWithParent()
	// Its stdin ends when this process does, however it ends.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start kube-controller-manager: %w", err)
	}

	started, gone := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(gone)
		defer log.Close()
		// The kernel sends the death signal when the thread that forked ends,
		// so this goroutine keeps its thread for as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cancel(fmt.Errorf("kube-controller-manager ended: %w; the last lines of controller-manager.log say why", cmd.Wait()))
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start kube-controller-manager: %w", err)
	}
	return func() {
		_ = cmd.Process.Kill() // it keeps nothing that a kill could harm
		_ = stdin.Close()
		<-gone
	}, nil
}

// runControllers is the whole life of the controller manager's process.
func runControllers(args []string, stdin io.Reader) int {
	// A terminal's Ctrl-C reaches the whole process group. This process ends
	// after its parent, or the parent would report it as failed.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM)
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		os.Exit(exitOK)
	}()
	cmd := kcm.NewControllerManagerCommand()
	cmd.SetArgs(args)
	if err := cmd.Execute(); err != nil {
		return exitError // the command has printed it into the log
	}
	return exitOK
}
