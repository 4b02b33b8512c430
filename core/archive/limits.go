package archive

import (
	"cmp"
	"fmt"
)

// Limits bound what a Reader takes from an archive it does not trust. A zero
// field means the default. Sizes are in bytes.
type Limits struct {
	// MaxSize is of the whole archive, decompressed. Default 16 GiB: more than
	// two million objects of 2 kB with their copies.
	MaxSize int64
	// MaxEntries counts files and directories. Default 2 million, a million
	// objects with their copies: three times what clusters of 300,000 objects
	// have. What finds duplicates and copies takes 250 MiB for a million
	// entries that have no copy, which is the worst.
	MaxEntries int64
	// MaxEntrySize is of one file. Default 16 MiB; etcd refuses objects over
	// 1.5 MiB unless told otherwise, aggregated APIs have rules of their own.
	MaxEntrySize int64
	// MaxRatio is of decompressed to compressed size once RatioFloor has been
	// passed. Default 200: Velero's archives of real clusters have 10 to 20,
	// 100,000 objects that differ in name and UID alone come to 60 to 75, a
	// bomb to 1000.
	MaxRatio int64
	// RatioFloor is how much may be decompressed before MaxRatio is looked at.
	// Default 4 GiB, so that objects full of one letter, which any user of a
	// cluster may create, cannot make its backups unreadable: twice, with the
	// copies, the 2 GiB at which etcd takes no more unless told otherwise.
	RatioFloor int64
	// MaxPath is of an entry's path. Default 1 MiB, as much as Go's tar takes:
	// Velero writes names as they are, and the names of Roles have no limit but
	// the size of a request.
	MaxPath int
	// MaxNames is of the names over 1 KiB of all items together, which an index of
	// items keeps in memory. Default 64 MiB.
	MaxNames int
	// MaxDepth is how deep a JSON document may nest. Default 10,000, where Go's
	// own decoder, which the API server uses, gives up.
	MaxDepth int
}

func (l Limits) withDefaults() Limits {
	return Limits{
		MaxSize:      cmp.Or(l.MaxSize, 16<<30),
		MaxEntries:   cmp.Or(l.MaxEntries, 2_000_000),
		MaxEntrySize: cmp.Or(l.MaxEntrySize, 16<<20),
		MaxRatio:     cmp.Or(l.MaxRatio, 200),
		RatioFloor:   cmp.Or(l.RatioFloor, 4<<30),
		MaxPath:      cmp.Or(l.MaxPath, 1<<20),
		MaxNames:     cmp.Or(l.MaxNames, 64<<20),
		MaxDepth:     cmp.Or(l.MaxDepth, 10_000),
	}
}

// longName is how long a name is that counts for MaxNames.
const longName = 1 << 10

// nameBudget counts the bytes of long names.
type nameBudget int

func (b *nameBudget) add(name string, l Limits) error {
	if len(name) <= longName {
		return nil
	}
	if int(*b)+len(name) > l.MaxNames {
		return fmt.Errorf("%w: name of %d bytes, and the long names before it use up the %d bytes that are allowed", ErrTooLarge, len(name), l.MaxNames)
	}
	*b += nameBudget(len(name))
	return nil
}
