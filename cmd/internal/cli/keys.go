package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lifeboat-backup/lifeboat/core/seal"
)

// identityEnv names a file of identities, used if there is no flag.
const identityEnv = "LIFEBOAT_IDENTITY_FILE"

// Identities is the flag --identity: files of age identities.
type Identities []string

// Add adds the flag to a command.
func (i *Identities) Add(c *cobra.Command) {
	c.Flags().StringArrayVar((*[]string)(i), "identity", nil, "`file` of age identities that decrypt the backup, may be repeated (default: $"+identityEnv+")")
}

// Read reads the files. Without a file there is no identity.
func (i Identities) Read() (seal.Identities, error) {
	files := []string(i)
	if name := os.Getenv(identityEnv); len(files) == 0 && name != "" {
		files = []string{name}
	}
	var all seal.Identities
	for _, name := range files {
		if isContent(name) {
			return nil, Usage("identities: --identity and $%s take the name of a file, not a key", identityEnv)
		}
		err := readFile(name, func(r io.Reader) error {
			list, err := seal.ParseIdentities(r)
			all = append(all, list...)
			return err
		})
		if err != nil {
			return nil, Usage("identities: %w", err)
		}
	}
	return all, nil
}

// Recipients are the flags --encrypt-to and --encrypt-to-file.
type Recipients struct{ keys, files []string }

// Add adds the flags to a command.
func (r *Recipients) Add(c *cobra.Command) {
	c.Flags().StringArrayVar(&r.keys, "encrypt-to", nil, "encrypt the objects to this age `recipient` (age1…), may be repeated")
	c.Flags().StringArrayVar(&r.files, "encrypt-to-file", nil, "encrypt the objects to the age recipients in this `file`, may be repeated")
}

// Read parses the recipients and checks that they can be used together.
func (r *Recipients) Read() (seal.Recipients, error) {
	var all seal.Recipients
	add := func(in io.Reader) error {
		list, err := seal.ParseRecipients(in)
		all = append(all, list...)
		return err
	}
	for _, key := range r.keys {
		if err := add(strings.NewReader(key)); err != nil {
			return nil, Usage("--encrypt-to: %w", err)
		}
	}
	for _, name := range r.files {
		if isContent(name) {
			return nil, Usage("--encrypt-to-file takes the name of a file, not a key")
		}
		if err := readFile(name, add); err != nil {
			return nil, Usage("--encrypt-to-file: %w", err)
		}
	}
	if err := all.Check(); err != nil {
		return nil, Usage("--encrypt-to: %w", err)
	}
	return all, nil
}

// checkFiles rejects the content of a file where its name belongs: an error about a
// missing file would repeat it, and it may be secret. Flags for files name
// their value file or path in their usage, commands have FILE.
func checkFiles(c *cobra.Command, args []string) (err error) {
	if strings.Contains(c.Use, "FILE") && slices.ContainsFunc(args, isContent) {
		return Usage("%s takes the names of files, not their content", c.CommandPath())
	}
	c.Flags().Visit(func(f *pflag.Flag) {
		value, _ := pflag.UnquoteUsage(f)
		if value != "file" && value != "path" {
			return
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		if err == nil && slices.ContainsFunc(values, isContent) {
			err = Usage("--%s takes the name of a file, not its content", f.Name)
		}
	})
	return err
}

// isContent reports whether the content of a file is given instead of its name: a key,
// or YAML or JSON. It must not be repeated in an error.
func isContent(name string) bool {
	if strings.Contains(strings.ToUpper(name), "AGE-SECRET-KEY-") || strings.Contains(name, "PRIVATE KEY") {
		return true
	}
	if _, err := os.Stat(name); err == nil {
		return false
	}
	return strings.ContainsAny(name, "\r\n{") || strings.Contains(name, ": ")
}

func readFile(name string, use func(io.Reader) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := use(f); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
