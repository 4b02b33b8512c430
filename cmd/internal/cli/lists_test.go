package cli

import (
	"bytes"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
)

func TestListsAreTrimmedAndNeverEmpty(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		want   []string
	}{
		{nil, ExitOK, nil},
		{[]string{"--names", "a, b ,c"}, ExitOK, []string{"a", "b", "c"}},
		{[]string{"--names", "a", "--names= b"}, ExitOK, []string{"a", "b"}},
		{[]string{"--names", ""}, ExitUsage, nil},
		{[]string{"--names="}, ExitUsage, nil},
		{[]string{"--names", " "}, ExitUsage, nil},
		{[]string{"--names", "a,,b"}, ExitUsage, nil},
		{[]string{"--names", "a", "--names", ""}, ExitUsage, nil},
		{[]string{"--selector", ""}, ExitUsage, nil},
		{[]string{"--selector", "a=b"}, ExitOK, nil},
		{[]string{"--selector", "a=b", "-l", "c=d"}, ExitUsage, nil},
	} {
		var names []string
		ran := false
		child := &cobra.Command{Use: "child", RunE: func(*cobra.Command, []string) error { ran = true; return nil }}
		ListVar(child.Flags(), &names, "names", "")
		TextVarP(child.Flags(), new(string), "selector", "l", "")
		var stderr bytes.Buffer
		status := Run(t.Context(), Group("root", "", child), append([]string{"child"}, c.args...), &bytes.Buffer{}, &stderr)
		assert.Equal(t, c.status, status, "%q: %s", c.args, &stderr)
		assert.Equal(t, c.status == ExitOK, ran, "%q", c.args)
		if c.status == ExitOK {
			assert.Equal(t, c.want, names, "%q", c.args)
		}
	}
}
