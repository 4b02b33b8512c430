package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// Progress shows the progress of long work: one line on a terminal, which is
// overwritten, and nothing elsewhere. It is not safe for concurrent use.
type Progress struct {
	w     io.Writer // nil = silent
	last  time.Time
	width int
}

// NewProgress shows progress on w if it is a terminal.
func NewProgress(w io.Writer) *Progress {
	if t, ok := w.(*Terminal); ok {
		w = t.w // the carriage return is ours, and what follows it is escaped here
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &Progress{w: f}
	}
	return &Progress{}
}

// redraw is how often the line changes at most.
const redraw = 100 * time.Millisecond

// Show writes the line, unless it was written less than redraw ago.
func (p *Progress) Show(format string, args ...any) {
	if p.w == nil || time.Since(p.last) < redraw {
		return
	}
	p.last = time.Now()
	line := []rune(Sprintf(format, args...))
	if max := 100; len(line) > max {
		line = line[:max]
	}
	fmt.Fprintf(p.w, "\r%-*s", p.width, string(line))
	p.width = len(line)
}

// Stage writes the line immediately, because a stage may take long.
func (p *Progress) Stage(what string) {
	p.last = time.Time{}
	p.Show("%s", what)
}

// Done clears the line.
func (p *Progress) Done() {
	if p.w != nil && p.width > 0 {
		fmt.Fprintf(p.w, "\r%*s\r", p.width, "")
		p.width = 0
	}
}
