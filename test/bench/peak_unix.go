//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"
	"time"
)

// ownCPU is what this process has used so far.
func ownCPU() time.Duration { return cpuTime(syscall.RUSAGE_SELF) }

// familyCPU is ownCPU and what its children used that have ended, with theirs.
func familyCPU() time.Duration { return ownCPU() + cpuTime(syscall.RUSAGE_CHILDREN) }

func cpuTime(who int) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(who, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// peakMiB is the largest resident set of an ended process: KiB on Linux, bytes
// on macOS (getrusage(2)).
func peakMiB(s *os.ProcessState) float64 {
	usage, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return float64(usage.Maxrss) / (1 << 20)
	}
	return float64(usage.Maxrss) / (1 << 10)
}
