package core_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// proseWidth is what docs/style.md asks for, with a few columns of tolerance.
const proseWidth = 105

// unwrapped are documents that programs write.
var unwrapped = []string{"/results/"}

func TestProseWraps(t *testing.T) {
	for _, path := range documents(t) {
		if slices.ContainsFunc(unwrapped, func(part string) bool { return strings.Contains(path, part) }) {
			continue
		}
		for i, line := range prose(lines(t, path)) {
			assert.LessOrEqual(t, utf8.RuneCountInString(line), proseWidth, "%s:%d: wrap this line at about 100 columns", path, i+1)
		}
	}
}

// link is a Markdown link to a file of the repository, with its heading if it names one.
var link = regexp.MustCompile(`\]\(([^)#:\s]*)(?:#([^)\s]+))?\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	for _, path := range documents(t) {
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(string(raw), -1) {
			target := path
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(path), m[1])
			}
			_, err := os.Stat(target)
			if assert.NoError(t, err, path) && m[2] != "" {
				assert.Contains(t, headings(t, target), m[2], "%s links to a heading of %s", path, target)
			}
		}
	}
}

// headings returns the anchors that GitHub makes of the headings of a document.
func headings(t *testing.T, path string) []string {
	t.Helper()
	var out []string
	for _, line := range lines(t, path) {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			out = append(out, strings.ReplaceAll(notInAnchors.ReplaceAllString(strings.ToLower(title), ""), " ", "-"))
		}
	}
	return out
}

var notInAnchors = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// Each package of core has its line in the map of core/doc.go.
func TestTheMapHasEveryPackage(t *testing.T) {
	raw, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	folders, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, f := range folders {
		if f.IsDir() && f.Name() != "location" { // which is in the line of store
			assert.Regexp(t, "(?m)^//   - ([a-z]+, )*"+f.Name()+"[,:]", string(raw))
		}
	}
}

func documents(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../docs/adr/*.md", "../docs/runbooks/*.md", "../test/*/*/*.md", "../test/*/*/*/*.md"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, found, pattern)
		out = append(out, found...)
	}
	return out
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
