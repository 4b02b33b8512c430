package core_test

import (
	"bufio"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lines reads a file of the repository line by line.
func lines(t *testing.T, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	var out []string
	s := bufio.NewScanner(f)
	for s.Scan() {
		out = append(out, s.Text())
	}
	require.NoError(t, s.Err())
	return out
}

func TestEveryDirectDependencyHasItsReason(t *testing.T) {
	required := regexp.MustCompile(`^\t(\S+) v\S+$`)
	var direct []string
	for _, l := range lines(t, "../go.mod") {
		if m := required.FindStringSubmatch(l); m != nil {
			direct = append(direct, m[1])
		}
	}
	row := regexp.MustCompile("^\\| `([^`]+)` \\| \\S.*\\|$")
	var documented []string
	for _, l := range lines(t, "../docs/dependencies.md") {
		if m := row.FindStringSubmatch(strings.TrimSpace(l)); m != nil {
			documented = append(documented, m[1])
		}
	}
	slices.Sort(direct)
	slices.Sort(documented)
	require.NotEmpty(t, direct)
	assert.Equal(t, direct, documented)
}
