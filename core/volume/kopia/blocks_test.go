package kopia_test

import (
	"io/fs"
	"syscall"

	"github.com/kopia/kopia/repo/content"
)

func contentPrefix(p string) content.IDPrefix { return content.IDPrefix(p) }

// blocks is how much of a file is on disk.
func blocks(info fs.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Blocks
	}
	return 0
}
