package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// duplicate gives a second handle on a file, which no child inherits: a reader
// of it sees the end when this process ends.
func duplicate(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// redirectOutput sends stdout and stderr of this process to the log, at the
// level of descriptors: libraries print, and the runtime writes its last words
// there.
func redirectOutput(log *os.File) error {
	for _, std := range []*os.File{os.Stdout, os.Stderr} {
		if err := replaceDescriptor(int(log.Fd()), int(std.Fd())); err != nil {
			return err
		}
	}
	return nil
}
