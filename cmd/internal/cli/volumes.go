package cli

import (
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// RepoPassword is the flag --repo-password-file: the file with the password of the
// kopia repositories of a location.
type RepoPassword string

// Add adds the flag to a command.
func (p *RepoPassword) Add(c *cobra.Command) {
	c.Flags().StringVar((*string)(p), "repo-password-file", "", "`file` with the password of the kopia repositories: the key repository-password of Velero's Secret velero-repo-credentials (default: Velero's default password)")
}

// maxPassword bounds the file of a password, in bytes.
const maxPassword = 64 << 10

// Read returns the password, without the space around it as Velero reads it; "" if
// there is no file.
func (p RepoPassword) Read() (string, error) {
	if p == "" {
		return "", nil
	}
	var content []byte
	err := readFile(string(p), func(r io.Reader) (err error) {
		content, err = io.ReadAll(io.LimitReader(r, maxPassword+1))
		return err
	})
	password := strings.TrimSpace(string(content))
	switch {
	case err != nil:
		return "", Usage("--repo-password-file: %w", err)
	case len(content) > maxPassword:
		return "", Usage("--repo-password-file: %s has more than %d bytes", string(p), maxPassword)
	case password == "":
		return "", Usage("--repo-password-file: %s is empty", string(p))
	}
	return password, nil
}

// Share is the flag --volume-bytes: of how many files of a volume the content is read.
// It is a flag.Value; the zero value is none.
type Share float64

// AddShare adds the flag to a command.
func AddShare(c *cobra.Command, s *Share) {
	c.Flags().Var(s, "volume-bytes", "how much of the data of volumes to read, as a `share` of the files: N% or all; of the rest, check only that all parts exist")
}

func (s *Share) String() string {
	switch *s {
	case 0:
		return "0%"
	case 1:
		return "all"
	}
	return strconv.FormatFloat(float64(*s)*100, 'f', -1, 64) + "%"
}

// Type is what help texts show for the value.
func (s *Share) Type() string { return "share" }

// Set checks the value of the flag.
func (s *Share) Set(v string) error {
	if v == "all" {
		*s = 1
		return nil
	}
	n, percent := strings.CutSuffix(strings.TrimSpace(v), "%")
	f, err := strconv.ParseFloat(n, 64)
	if err != nil || !percent || !(f >= 0 && f <= 100) {
		return errors.New("must be all or a share such as 10%")
	}
	*s = Share(f / 100)
	return nil
}
