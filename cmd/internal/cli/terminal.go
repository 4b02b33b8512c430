package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// What a program prints was mostly written by others: names in a bucket, texts of an
// API server. Two rules keep it from steering the terminal or forging lines:
//
//   - Printf and Columns print values. A value is escaped, its newlines and tabs too.
//   - Terminal is below all of them, and escapes in whatever is written to it
//     everything but newlines and tabs. Run puts it around stdout and stderr.
//
// An escaped character is written as \n, \t, \u001b, \U000e0001, or \xff for a byte
// that is not UTF-8: within a string of JSON or YAML it means the same character.

// Escape makes a value safe to print within a line: each character that is not
// graphic is escaped. These are control characters (ESC, C1 and DEL among them),
// newlines, line and paragraph separators, and characters that have no width or
// change the direction of the text around them.
func Escape(value string) string { return escape(value, "") }

// escape escapes all characters that are not graphic, apart from those in keep.
func escape(s, keep string) string {
	safe := func(r rune) bool {
		return unicode.IsGraphic(r) && r != utf8.RuneError || r < utf8.RuneSelf && strings.ContainsRune(keep, r)
	}
	if strings.IndexFunc(s, func(r rune) bool { return !safe(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case safe(r) || r == utf8.RuneError && n > 1: // U+FFFD itself
			b.WriteString(s[:n])
		case r == utf8.RuneError:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[n:]
	}
	return b.String()
}

// escapeJSON escapes within a JSON document what encoding/json does not: the result
// is the same document.
func escapeJSON(doc []byte) []byte {
	var b strings.Builder
	for _, r := range string(doc) { // encoding/json writes valid UTF-8
		switch {
		case unicode.IsGraphic(r) || r == '\n':
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return []byte(b.String())
}

// Printf prints like fmt.Fprintf, with each argument escaped. The format is the
// layout, and is printed as it is.
func Printf(w io.Writer, format string, args ...any) {
	_, _ = io.WriteString(w, Sprintf(format, args...)) // as for fmt.Fprintf: a closed stdout is noticed by the last write
}

// Sprintf is what Printf prints.
func Sprintf(format string, args ...any) string {
	safe := make([]any, len(args))
	for i, a := range args {
		safe[i] = escaped{a}
	}
	return fmt.Sprintf(format, safe...)
}

// escaped formats a value as fmt does, and escapes the result.
type escaped struct{ value any }

// Format implements fmt.Formatter.
func (e escaped) Format(s fmt.State, verb rune) {
	_, _ = io.WriteString(s, Escape(fmt.Sprintf(fmt.FormatString(s, verb), e.value))) // the state is a buffer
}

// Columns prints rows in aligned columns.
type Columns struct{ t *tabwriter.Writer }

// NewColumns makes a table that is printed on w by Flush.
func NewColumns(w io.Writer) Columns { return Columns{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)} }

// widestCell is how many bytes a cell before the last may have: all rows are as wide as
// the widest, and a name can be hundreds of kilobytes long.
const widestCell = 400

// Row adds a row. Its cells are values, and are escaped.
func (t Columns) Row(cells ...any) {
	line := make([]string, len(cells))
	for i, c := range cells {
		line[i] = Escape(fmt.Sprint(c))
		if i < len(cells)-1 && len(line[i]) > widestCell {
			line[i] = strings.ToValidUTF8(line[i][:widestCell], "") + "…"
		}
	}
	fmt.Fprintln(t.t, strings.Join(line, "\t"))
}

// Head adds the names of the columns that follow.
func (t Columns) Head(columns ...string) { fmt.Fprintln(t.t, strings.Join(columns, "\t")) }

// Gap adds an empty line.
func (t Columns) Gap() { fmt.Fprintln(t.t) }

// Flush prints the table.
func (t Columns) Flush() error { return t.t.Flush() }

// Terminal is a writer that escapes whatever could steer a terminal. It may be used
// concurrently; each Write is one Write of the writer below.
type Terminal struct {
	mu      sync.Mutex
	w       io.Writer
	partial []byte // the beginning of a character that a later Write completes
}

// NewTerminal makes a Terminal that writes to w.
func NewTerminal(w io.Writer) *Terminal {
	if t, ok := w.(*Terminal); ok {
		return t
	}
	return &Terminal{w: w}
}

// Write implements io.Writer.
func (t *Terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := append(t.partial, p...)
	whole := len(all) - incomplete(all)
	t.partial = append([]byte(nil), all[whole:]...)
	if _, err := io.WriteString(t.w, escape(string(all[:whole]), "\n\t")); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes the beginning of a character that was not completed.
func (t *Terminal) Flush() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	rest := string(t.partial)
	t.partial = nil
	if rest == "" {
		return nil
	}
	_, err := io.WriteString(t.w, escape(rest, ""))
	return err
}

// incomplete is the number of bytes at the end that may begin a character.
func incomplete(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if tail := p[len(p)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// Raw is the writer below a Terminal, for output that is not text, such as an archive.
func Raw(w io.Writer) io.Writer {
	if t, ok := w.(*Terminal); ok {
		return Raw(t.w)
	}
	return w
}
