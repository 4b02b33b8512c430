package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAShareIsAPercentageOrAll(t *testing.T) {
	for in, want := range map[string]Share{"all": 1, "100%": 1, "0%": 0, "10%": 0.1, "0.5%": 0.005} {
		var s Share
		require.NoError(t, s.Set(in), in)
		assert.InDelta(t, float64(want), float64(s), 1e-9, in)
		var again Share
		require.NoError(t, again.Set(s.String()))
		assert.InDelta(t, float64(s), float64(again), 1e-9, in)
	}
	for _, in := range []string{"", "10", "-1%", "101%", "NaN%", "many"} {
		var s Share
		require.Error(t, s.Set(in), in)
	}
}

func TestAPasswordIsReadAsVeleroReadsIt(t *testing.T) {
	dir := t.TempDir()
	write := func(content string) RepoPassword {
		path := filepath.Join(dir, "password")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return RepoPassword(path)
	}
	got, err := write("secret\n").Read()
	require.NoError(t, err)
	assert.Equal(t, "secret", got)
	got, err = RepoPassword("").Read()
	require.NoError(t, err)
	assert.Empty(t, got)
	for _, bad := range []RepoPassword{write(" \n"), RepoPassword(filepath.Join(dir, "absent"))} {
		_, err = bad.Read()
		require.ErrorAs(t, err, &UsageError{})
	}
	_, err = write(strings.Repeat("x", maxPassword+1)).Read()
	require.ErrorContains(t, err, "more than")
}
