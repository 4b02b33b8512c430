package cli

import (
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker (-X).
var version = ""

// Version is the version of this build, set by the linker or recorded by Go from
// the checkout.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// NewVersion is the command that prints the version of a program.
func NewVersion(program string) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: Args(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := io.WriteString(c.OutOrStdout(), program+" "+Version()+"\n")
			return err
		},
	}
}
