package cli

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/core/location"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// LocationEnv is the environment variable that is the default of --location.
const LocationEnv = "LIFEBOAT_LOCATION"

// Location is the flag --location: where backups live. An empty one is that of
// LocationEnv.
type Location string

// Add adds the flag to a command.
func (l *Location) Add(c *cobra.Command) {
	c.Flags().StringVar((*string)(l), "location", "", "where the backups are: file:///dir/prefix or s3://bucket/prefix?region=…&endpoint=…&path-style=true (default: $"+LocationEnv+")")
}

// Check validates the URL without opening the location.
func (l *Location) Check() error {
	if *l == "" {
		*l = Location(os.Getenv(LocationEnv))
	}
	if *l == "" {
		return Usage("--location is required: file:///dir/prefix or s3://bucket/prefix (or set $" + LocationEnv + ")")
	}
	if _, err := location.Parse(string(*l)); err != nil {
		return UsageError{err}
	}
	return nil
}

// Open opens the location. With create, it makes the folder of a file:// location.
func (l *Location) Open(ctx context.Context, create bool) (store.Store, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	return location.Open(ctx, string(*l), location.Options{Create: create})
}
