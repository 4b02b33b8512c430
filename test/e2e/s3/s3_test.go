//go:build e2e

package s3_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/location"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/storetest"
	"github.com/lifeboat-backup/lifeboat/test/rig"
)

func TestABucketIsAStore(t *testing.T) {
	server := rig.S3(t)
	storetest.Run(t, func(t *testing.T) store.Store {
		return open(t, server.URL("conformance/"+strings.ReplaceAll(t.Name(), "/", "-")))
	})
}

func open(t testing.TB, url string) store.Store {
	t.Helper()
	s, err := location.Open(t.Context(), url, location.Options{})
	require.NoError(t, err)
	return s
}
