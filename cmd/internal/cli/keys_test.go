package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRecipientsThatDoNotGoTogetherAreAMistakeOfTheUser(t *testing.T) {
	classic, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	hybrid, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	r := Recipients{keys: []string{classic.Recipient().String(), hybrid.Recipient().String()}}
	_, err = r.Read()
	assert.ErrorAs(t, err, new(UsageError))
	assert.ErrorContains(t, err, "--encrypt-to: ")
	r.keys = r.keys[1:]
	all, err := r.Read()
	require.NoError(t, err)
	assert.Len(t, all, 1)
}

func TestIdentitiesComeFromAllFilesOrElseTheEnvironment(t *testing.T) {
	file := func() string {
		i, err := age.GenerateX25519Identity()
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), "key")
		require.NoError(t, os.WriteFile(path, []byte(i.String()), 0o600))
		return path
	}
	none, err := Identities(nil).Read()
	require.NoError(t, err)
	assert.Empty(t, none)
	t.Setenv(identityEnv, file())
	one, err := Identities(nil).Read()
	require.NoError(t, err)
	assert.Len(t, one, 1)
	two, err := Identities{file(), file()}.Read()
	require.NoError(t, err)
	assert.Len(t, two, 2, "the flag replaces the environment")
	t.Setenv(identityEnv, "nowhere")
	_, err = Identities(nil).Read()
	assert.ErrorContains(t, err, "identities: open nowhere")
	assert.ErrorAs(t, err, new(UsageError))
}

func TestAKeyInPlaceOfItsFileIsNotRepeated(t *testing.T) {
	i, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	read := map[string]func() error{
		"--identity":        func() error { _, err := Identities{i.String()}.Read(); return err },
		"--encrypt-to-file": func() error { _, err := (&Recipients{files: []string{i.String()}}).Read(); return err },
		"environment": func() error {
			t.Setenv(identityEnv, i.String())
			_, err := Identities(nil).Read()
			return err
		},
	}
	for name, f := range read {
		err := f()
		assert.ErrorAs(t, err, new(UsageError), name)
		assert.ErrorContains(t, err, "not a key", name)
		assert.NotContains(t, err.Error(), i.String()[:30], name)
	}
}

func TestTheContentOfAFileInPlaceOfItsNameIsNotRepeated(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a: {b}")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, c := range []struct {
		flag  string
		value string
		code  int
	}{
		{"--kubeconfig", "apiVersion: v1\nusers: [{user: {token: hunter2}}]", ExitUsage},
		{"--kubeconfig", "/nowhere/config:hunter2", ExitOK}, // a list of names
		{"--policy", "password: hunter2", ExitUsage},
		{"--policy", `{"password":"hunter2"}`, ExitUsage},
		{"--policy", "-----BEGIN PRIVATE KEY-----hunter2", ExitUsage},
		{"--policy", file, ExitOK},
		{"--policy", "C:\\policy.yaml", ExitOK},
		{"--name", "password: hunter2", ExitOK},
	} {
		command := &cobra.Command{Use: "x", RunE: func(*cobra.Command, []string) error { return nil }}
		command.Flags().String("kubeconfig", "", "kubeconfig `file`")
		command.Flags().StringArray("policy", nil, "`file` of a policy")
		command.Flags().String("name", "", "a `name`")
		parent := &cobra.Command{Use: "p"}
		parent.AddCommand(command)
		var out, errs bytes.Buffer
		assert.Equal(t, c.code, Run(t.Context(), parent, []string{"x", c.flag, c.value}, &out, &errs), c.value)
		assert.NotContains(t, errs.String(), "hunter2")
		if c.code != ExitOK {
			assert.Equal(t, "error: "+c.flag+" takes the name of a file, not its content\n", errs.String())
		}
	}
}
