package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// mostLines is how many lines of a kind a summary shows; JSON output has all.
const mostLines = 20

// printList prints a title, which is a constant, and the lines, which are values.
func printList(w io.Writer, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	cli.Printf(w, title+" (%d):\n", len(lines))
	printLines(w, lines)
}

func printLines(w io.Writer, lines []string) {
	for i, l := range lines {
		if i == mostLines {
			cli.Printf(w, "  … and %d more (-o json lists all)\n", len(lines)-i)
			return
		}
		cli.Printf(w, "  %s\n", cut(l))
	}
}

// cut shortens a line in its middle: a name may be hundreds of kilobytes long, and what
// is wrong comes after it.
func cut(line string) string {
	const head, tail = 2000, 2000
	if len(line) <= head+tail {
		return line
	}
	return strings.ToValidUTF8(line[:head], "") + " … " + strings.ToValidUTF8(line[len(line)-tail:], "")
}

// size is a number of bytes for people.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, prefixes := float64(n)/unit, "KMGTPE"
	for i := 0; ; i++ {
		if f < unit || i == len(prefixes)-1 {
			return fmt.Sprintf("%.1f %ciB", f, prefixes[i])
		}
		f /= unit
	}
}

// mostNames is how many objects a summary names for one reason.
const mostNames = 10

// named are objects by what is to be said about them.
type named map[string][]item.Key

func (n named) add(reason string, k item.Key) { n[reason] = append(n[reason], k) }

// print prints how many objects there are for each reason, and names the first.
func (n named) print(w io.Writer, title string) {
	total := 0
	for _, keys := range n {
		total += len(keys)
	}
	if total == 0 {
		return
	}
	cli.Printf(w, title+" (%d):\n", total)
	for _, reason := range slices.Sorted(maps.Keys(n)) {
		cli.Printf(w, "  %d %s\n    %s\n", len(n[reason]), reason, someOf(n[reason]))
	}
}

// someOf names the first of some objects.
func someOf(keys []item.Key) string {
	names := make([]string, 0, mostNames)
	for _, k := range keys[:min(len(keys), mostNames)] {
		names = append(names, k.String())
	}
	list := strings.Join(names, ", ")
	if more := len(keys) - len(names); more > 0 {
		list += fmt.Sprintf(", and %d more (-o json lists all)", more)
	}
	return list
}

// counted are numbers of things by what is to be said about them.
func counted(m map[string]int) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%d %s", m[k], k))
	}
	return out
}

// warner prints warnings while a progress line is shown.
func warner(w io.Writer, line *cli.Progress) func(string) {
	return func(warning string) {
		line.Done()
		cli.Printf(w, "warning: %s\n", warning)
	}
}

func volumes(vs []plan.Volume) []string {
	var out []string
	for _, v := range vs {
		out = append(out, v.Object+": "+v.Note)
	}
	return out
}

// plural is a number of things: "1 backup", "2 backups".
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
