package fs

import (
	iofs "io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAnErrorOfTheDiskNamesThePathAndTheNextStep(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&iofs.PathError{Op: "write", Path: "x/.lifeboat-tmp-1", Err: syscall.ENOSPC},
			"/b/x: no space left on device; free space there or choose another location"},
		{&iofs.PathError{Op: "openat", Path: "x", Err: syscall.EROFS},
			"/b/x: read-only file system; remount it writable or choose another location"},
		{&os.LinkError{Op: "linkat", Old: "t", New: "x", Err: syscall.EACCES},
			"/b/x: permission denied; check owner and mode of the folder and the user this runs as"},
		{syscall.EDQUOT, "/b/x: disk quota exceeded; free space there or choose another location"},
		{syscall.EFBIG, "/b/x: file too large; raise the limit of the process (ulimit -f) or choose another file system"},
		{&iofs.PathError{Op: "sync", Path: "x", Err: syscall.EIO}, "/b/x: input/output error"},
	} {
		got := explain(tt.err, "/b/x")
		assert.EqualError(t, got, tt.want)
		assert.ErrorIs(t, got, cause(tt.err))
	}
}
