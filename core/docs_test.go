package core_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// proseWidth is what docs/style.md asks for, with a few columns of tolerance.
const proseWidth = 105

// unwrapped are documents whose lines are still longer.
var unwrapped = []string{"testing.md"}

func TestProseWraps(t *testing.T) {
	for _, path := range documents(t) {
		for i, line := range prose(lines(t, path)) {
			assert.LessOrEqual(t, utf8.RuneCountInString(line), proseWidth, "%s:%d: wrap this line at about 100 columns", path, i+1)
		}
	}
}

func documents(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../docs/adr/*.md"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, found, pattern)
		out = append(out, found...)
	}
	return slices.DeleteFunc(out, func(path string) bool { return slices.Contains(unwrapped, filepath.Base(path)) })
}

// prose returns the lines with tables, code, comments and lines that hold a long
// link blanked, because these cannot be wrapped.
func prose(lines []string) []string {
	out := make([]string, len(lines))
	fenced := false
	for i, line := range lines {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "```"):
			fenced = !fenced
		case fenced, strings.HasPrefix(trimmed, "|"), strings.HasPrefix(trimmed, "<!--"), strings.HasPrefix(line, "    "):
		case strings.Contains(trimmed, "]("), strings.Contains(trimmed, "://"):
		default:
			out[i] = line
		}
	}
	return out
}
