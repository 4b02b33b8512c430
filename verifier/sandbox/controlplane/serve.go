package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"k8s.io/klog/v2"
)

// errEnded means that the parent wanted the control plane to end.
var errEnded = errors.New("asked to end")

// serve runs the control plane until the parent ends it (nil) or one of its
// parts fails.
func serve(s settings, kubernetes string, stdin io.Reader, parent io.Writer) error {
	began := time.Now()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	endWithParent(cancel, stdin)

	if err := openDataDir(s.dataDir); err != nil {
		return err
	}
	klog.OsExit = func(code int) {
		tell(parent, failure{Event: "error", Error: "the API server ended; the last lines of apiserver.log say why"})
		os.Exit(max(code, exitError))
	}

	listener, err := net.Listen("tcp", s.listen.String())
	if err != nil {
		return fmt.Errorf("listen for the API server: %w", err)
	}
	creds, err := newCredentials(s, listener.Addr().(*net.TCPAddr), began)
	if err != nil {
		return err
	}
	if err := startEtcd(ctx); err != nil {
		return ended(ctx, err)
	}
	if !s.allowEgress {
		if err := refuseEgress(); err != nil {
			return err
		}
	}
	go func() {
		cancel(fmt.Errorf("kube-apiserver ended: %w", runAPIServer(ctx, listener, s.allowEgress)))
	}()
	client, err := creds.client()
	if err != nil {
		return err
	}
	if err := waitForServer(ctx, client); err != nil {
		return ended(ctx, err)
	}
	if len(s.controllers) > 0 {
		stop, err := startControllers(cancel, s.controllers)
		if err != nil {
			return err
		}
		defer stop()
	}
	if err := waitForNamespace(ctx, client, s.controllers); err != nil {
		return ended(ctx, err)
	}
	if err := writeFile(s.kubeconfig, creds.admin); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	// Starting takes memory that running does not need: a fifth of what is resident.
	debug.FreeOSMemory()
	tell(parent, ready{
		Event: "ready", Server: creds.server, Kubeconfig: s.kubeconfig, Version: kubernetes,
		PID: os.Getpid(), Seconds: float64(time.Since(began).Milliseconds()) / 1000,
	})
	<-ctx.Done()
	return ended(ctx, nil)
}

// ended distinguishes an end that the parent asked for from a failure, and prefers the
// cause of a cancellation over its symptom.
func ended(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, errEnded) {
		return nil
	}
	if cause != nil {
		return cause
	}
	return err
}

// endWithParent cancels when a signal asks for the end, or when stdin ends,
// which it also does when the parent is killed.
func endWithParent(cancel context.CancelCauseFunc, stdin io.Reader) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		cancel(errEnded)
	}()
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		cancel(errEnded)
	}()
}

// openDataDir makes the data directory the place of everything that follows: it
// becomes the working directory, and stdout and stderr of the process, with all
// that the servers and the runtime print, go to apiserver.log in it.
func openDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	// Sockets and keys are protected by the directory around them.
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("protect data directory: %w", err)
	}
	if err := os.Mkdir(filepath.Join(dir, etcdDir), 0o700); errors.Is(err, os.ErrExist) {
		return fmt.Errorf("data directory %s was used before; give every run one of its own", dir)
	} else if err != nil {
		return fmt.Errorf("create directory of etcd: %w", err)
	}
	if err := os.Chdir(dir); err != nil {
		return fmt.Errorf("enter data directory: %w", err)
	}
	log, err := openLog("apiserver.log")
	if err != nil {
		return err
	}
	defer log.Close()
	if err := redirectOutput(log); err != nil {
		return fmt.Errorf("redirect output to the log: %w", err)
	}
	return nil
}

func openLog(name string) (*os.File, error) {
	log, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return log, nil
}

// writeFile writes a file for this user alone, whole or not at all.
func writeFile(path string, data []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // 0600
	if err != nil {
		return err
	}
	_, err = temp.Write(data)
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}
