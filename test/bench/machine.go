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
