//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package fs

import "os"

// canLock is false where the standard library has no file locks: temporary
// files of a killed process stay until someone removes them by hand.
const canLock = false

func lock(*os.File) bool { return true }
