package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Machine is where a run took place. What the system does not tell is empty.
type Machine struct {
	CPU       string  `json:"cpu,omitempty"`
	Cores     int     `json:"cores"`
	MemoryGiB float64 `json:"memoryGiB,omitempty"`
	System    string  `json:"system"`
	// Load is the average of the last 1, 5 and 15 minutes before the run: what
	// others did.
	Load string `json:"load,omitempty"`
	// Others is the share of the machine's CPU time that processes which are
	// not of this run took while it went on, 0 to 1: how noisy its times are.
	Others float64 `json:"others"`
}

func (m Machine) String() string {
	return fmt.Sprintf("%d cores of %s, %.0f GiB, %s", m.Cores, m.CPU, m.MemoryGiB, m.System)
}

// machine reads Linux' files; elsewhere they are missing and so is what they
// would tell.
func machine() Machine {
	m := Machine{Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, CPU: "an unnamed CPU"}
	if model := find("/proc/cpuinfo", `(?m)^model name\s*:\s*(.+)$`); model != "" {
		m.CPU = model
	}
	if kib, err := strconv.ParseFloat(find("/proc/meminfo", `(?m)^MemTotal:\s*(\d+) kB`), 64); err == nil {
		m.MemoryGiB = kib / (1 << 20)
	}
	m.Load = find("/proc/loadavg", `^(\S+ \S+ \S+)`)
	return m
}

// busy is how much CPU time all processes of the machine have used since it was
// started (Linux, proc_stat(5): hundredths of a second; idle and iowait are the
// fourth and fifth number), 0 where that is not told.
func busy() time.Duration {
	var hundredths int64
	for i, field := range strings.Fields(find("/proc/stat", `^cpu +(.*)`)) {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0
		}
		if i < 8 && i != 3 && i != 4 { // guests, the last two, are in the first two
			hundredths += n
		}
	}
	return time.Duration(hundredths) * 10 * time.Millisecond
}

// others returns a function that measures the share of CPU time others have taken
// since. Processes of this run count as its own once they have ended.
func others() func() float64 {
	started, all, own := time.Now(), busy(), familyCPU()
	return func() float64 {
		available := time.Since(started) * time.Duration(runtime.NumCPU())
		return max(0, float64(busy()-all-(familyCPU()-own))/float64(available))
	}
}

func find(path, pattern string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	m := regexp.MustCompile(pattern).FindSubmatch(data)
	if m == nil {
		return ""
	}
	return strings.TrimSpace(string(m[1]))
}

// Versions are those of everything that took part.
type Versions struct {
	Lifeboat   string `json:"lifeboat"`
	Go         string `json:"go"`
	Kubernetes string `json:"kubernetes"`
	S3         string `json:"versitygw"`
}

func (l *lab) versions(ctx context.Context) Versions {
	v := Versions{Go: runtime.Version(), S3: find(filepath.Join("tools", "versions.mk"), `(?m)^VERSITYGW_VERSION\s*:=\s*(\S+)`)}
	if out, err := exec.CommandContext(ctx, l.program("lifeboat"), "version").Output(); err == nil {
		v.Lifeboat = strings.TrimSpace(strings.TrimPrefix(string(out), "lifeboat"))
	}
	return v
}
