package core_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the rules on imports into .golangci.yml")

const (
	linter     = "../.golangci.yml"
	rulesBegin = "    # The rules of core/deps_test.go, written by `go test ./core -update`.\n"
	rulesEnd   = "    # End of the rules of core/deps_test.go.\n"
)

func TestTheLinterHasTheSameRules(t *testing.T) {
	content, err := os.ReadFile(linter)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(content), rulesBegin)
	require.True(t, ok, "no line %q in %s", rulesBegin, linter)
	_, after, ok := strings.Cut(rest, rulesEnd)
	require.True(t, ok, "no line %q in %s", rulesEnd, linter)
	want := before + rulesBegin + depguard() + rulesEnd + after
	if *update {
		require.NoError(t, os.WriteFile(linter, []byte(want), 0o644))
		return
	}
	assert.Equal(t, want, string(content), "out of date: go test ./core -update")
}

// depguard is the table as golangci-lint's settings have it.
func depguard() string {
	var b strings.Builder
	b.WriteString("    depguard:\n      rules:\n")
	for _, r := range rules {
		mode := "lax"
		if r.stdlib {
			mode = "strict"
			r.allow = append([]string{"$gostd"}, r.allow...)
		}
		fmt.Fprintf(&b, "        %s:\n          list-mode: %s\n          files:\n            - \"!$test\"\n", r.name, mode)
		for _, folder := range r.in {
			fmt.Fprintf(&b, "            - \"${base-path}/%s/**\"\n", folder)
		}
		for _, file := range r.files {
			fmt.Fprintf(&b, "            - \"${base-path}/%s\"\n", file)
		}
		for _, folder := range r.not {
			fmt.Fprintf(&b, "            - \"!${base-path}/%s/**\"\n", folder)
		}
		for i, path := range r.allow {
			if i == 0 {
				b.WriteString("          allow:\n")
			}
			fmt.Fprintf(&b, "            - %s\n", expand(path))
		}
		for i, path := range r.deny {
			if i == 0 {
				b.WriteString("          deny:\n")
			}
			fmt.Fprintf(&b, "            - {pkg: %s, desc: %q}\n", expand(path), r.why)
		}
	}
	return b.String()
}
