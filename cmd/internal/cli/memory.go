package cli

import (
	"os"
	"runtime/debug"
)

// memoryLimit is the size, in bytes, below which the garbage collector keeps the
// process while it can, instead of letting the heap double. With the program's
// own pages, a backup or restore of 100,000 objects stays below 192 MiB
// (docs/performance.md). It is not a hard limit: larger indexes still get the
// memory they need, at the price of more garbage collection.
const memoryLimit = 144 << 20

// LimitMemory sets the limit, unless GOMEMLIMIT is set.
func LimitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
