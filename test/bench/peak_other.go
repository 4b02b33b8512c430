//go:build !unix

package main

import (
	"os"
	"time"
)

// ownCPU is not told here.
func ownCPU() time.Duration { return 0 }

// familyCPU is not told here.
func familyCPU() time.Duration { return 0 }

// peakMiB is not told here.
func peakMiB(*os.ProcessState) float64 { return 0 }
