package cli

import (
	"os"
	"runtime/debug"
)

// memoryLimit is what the garbage collector keeps the process below while it
// can, in bytes, where otherwise it would let the heap double. With the
// program's own pages a backup or restore of 100,000 objects stays below
// 192 MiB by it (docs/performance.md). It is no hard limit: what larger indexes
// need is taken all the same, at the price of more collecting.
const memoryLimit = 144 << 20

// LimitMemory sets the limit, unless GOMEMLIMIT says another or "off".
func LimitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
