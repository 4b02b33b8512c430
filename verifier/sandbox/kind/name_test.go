package kind

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/verifier/sandbox"
)

func TestANameSaysWhoMadeTheSandboxAndWhen(t *testing.T) {
	at := time.Date(2026, 11, 22, 20, 0, 0, 999, time.UTC)
	made := newName("0a1b2c3d", 4711, at)
	assert.Regexp(t, `^lifeboat-0a1b2c3d-4711-1795377600-[0-9a-f]{6}$`, made.String())
	read, ok := parseName(made.String())
	require.True(t, ok)
	assert.Equal(t, made, read)
	assert.NotEqual(t, made.String(), newName("0a1b2c3d", 4711, at).String(), "kind deletes by name, so no two are the same")
}

func TestNamesFitIntoAHostName(t *testing.T) {
	longest := newName(sandbox.Machine(), 4194304, time.Now()) // the highest process number of Linux
	assert.LessOrEqual(t, len(longest.String()), 50, "kind warns above 50")
	assert.LessOrEqual(t, len(longest.node()), 63)
	_, ok := parseName(longest.String())
	assert.True(t, ok)
}

func TestNobodyElsesClusterIsTakenForASandbox(t *testing.T) {
	ours := "lifeboat-0a1b2c3d-4711-1795377600-abcdef"
	_, ok := parseName(ours)
	require.True(t, ok)
	for _, theirs := range []string{
		"", "kind", "lifeboat", "lifeboat-dev", "my-" + ours, ours + "-2", ours + "\n", " " + ours,
		strings.ToUpper(ours),
		"lifeboat-0a1b2c3-4711-1795377600-abcdef",
		"lifeboat-0a1b2c3x-4711-1795377600-abcdef",
		"lifeboat-0a1b2c3d-0-1795377600-abcdef",
		"lifeboat-0a1b2c3d--1-1795377600-abcdef",
		"lifeboat-0a1b2c3d-4711-179537760-abcdef",
		"lifeboat-0a1b2c3d-4711-17953776000-abcdef",
		"lifeboat-0a1b2c3d-4711-1795377600-abcde",
		"lifeboat-controlplane-4711-1795377600",
	} {
		_, ok := parseName(theirs)
		assert.False(t, ok, theirs)
	}
}

func TestOnlyTheOneNodeOfASandboxIsOurs(t *testing.T) {
	ours := "lifeboat-0a1b2c3d-4711-1795377600-abcdef"
	n, image, ok := parseContainer(ours + "-control-plane " + ours + " lifeboat/node:v1.34.4")
	assert.True(t, ok)
	assert.Equal(t, ours, n.String())
	assert.Equal(t, "lifeboat/node:v1.34.4", image)
	for _, line := range []string{
		"dev-control-plane dev kindest/node:v1.34.0",
		ours + "-worker " + ours + " kindest/node:v1.34.0",
		"renamed " + ours + " kindest/node:v1.34.0",
		ours + "-control-plane " + ours,
		"",
	} {
		_, _, ok := parseContainer(line)
		assert.False(t, ok, line)
	}
}
