package s3_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/s3"
)

func TestEveryRequestIsCountedRepeatsIncluded(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Has("list-type") && calls.Add(1) == 1:
			refuse(w, http.StatusServiceUnavailable, "SlowDown", "said")
		case r.URL.Query().Has("list-type") && r.URL.Query().Get("continuation-token") == "":
			fmt.Fprint(w, `<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken><Contents><Key>prod/a</Key></Contents></ListBucketResult>`)
		case r.URL.Query().Has("list-type"):
			fmt.Fprint(w, `<ListBucketResult><Contents><Key>prod/b</Key></Contents></ListBucketResult>`)
		}
	})
	for _, err := range s.List(t.Context(), "", true) {
		require.NoError(t, err)
	}
	body, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	require.NoError(t, body.Close())
	assert.Equal(t, map[string]uint64{"ListObjectsV2": 3, "GetObject": 1}, s.Requests())
}

func TestAListingThatBeginsInTheMiddleAsksForNoMoreThanIsRead(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "prod/backups/", r.URL.Query().Get("prefix"))
		assert.Equal(t, "prod/backups/b/", r.URL.Query().Get("start-after"))
		fmt.Fprint(w, `<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken><Contents><Key>prod/backups/b/x</Key></Contents></ListBucketResult>`)
	})
	for info, err := range s.ListAfter(t.Context(), "backups/", "backups/b/") {
		require.NoError(t, err)
		assert.Equal(t, "backups/b/x", info.Key)
		break
	}
	assert.Equal(t, map[string]uint64{"ListObjectsV2": 1}, s.Requests())
}

// answers is a server that gives a body, or a code of S3's, to each of the
// questions about protection.
func answers(t *testing.T, versioning, lock, retention string) *s3.Store {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		answer := versioning
		switch {
		case r.URL.Query().Has("object-lock"):
			answer = lock
		case r.URL.Query().Has("retention"):
			answer = retention
		}
		if answer == "" || answer[0] != '<' {
			refuse(w, http.StatusNotFound, answer, "said")
			return
		}
		fmt.Fprint(w, answer)
	})
}

func TestABucketSaysHowItProtectsItsObjects(t *testing.T) {
	t.Parallel()
	const on, off = `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`, `<VersioningConfiguration/>`
	lock := func(rule string) string {
		return `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>` + rule + `</ObjectLockConfiguration>`
	}
	for name, tc := range map[string]struct {
		versioning, lock string
		want             store.Protection
	}{
		"none":                {off, "ObjectLockConfigurationNotFoundError", store.Protection{}},
		"versions only":       {on, "ObjectLockConfigurationNotFoundError", store.Protection{Versioning: true}},
		"a lock without rule": {on, lock(""), store.Protection{Versioning: true, Lock: true}},
		"thirty days": {on, lock(`<Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>30</Days></DefaultRetention></Rule>`),
			store.Protection{Versioning: true, Lock: true, Mode: "COMPLIANCE", Retention: 30 * 24 * time.Hour}},
		"a year": {on, lock(`<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Years>1</Years></DefaultRetention></Rule>`),
			store.Protection{Versioning: true, Lock: true, Mode: "GOVERNANCE", Retention: 365 * 24 * time.Hour}},
	} {
		got, err := answers(t, tc.versioning, tc.lock, "").Protection(t.Context())
		require.NoError(t, err, name)
		assert.Equal(t, tc.want, got, name)
	}
	_, err := answers(t, "AccessDenied", "", "").Protection(t.Context())
	assert.ErrorContains(t, err, "get the versioning of bucket bucket")
	_, err = answers(t, on, "AccessDenied", "").Protection(t.Context())
	assert.ErrorContains(t, err, "get the object lock configuration of bucket bucket")
}

func TestAnObjectSaysUntilWhenItIsKept(t *testing.T) {
	t.Parallel()
	until, err := answers(t, "", "", `<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2030-01-02T03:04:05Z</RetainUntilDate></Retention>`).RetainedUntil(t.Context(), "backups/a/x")
	require.NoError(t, err)
	assert.Equal(t, time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), until.UTC())
	until, err = answers(t, "", "", "NoSuchObjectLockConfiguration").RetainedUntil(t.Context(), "backups/a/x")
	require.NoError(t, err)
	assert.Zero(t, until, "an object that nothing keeps")
	none := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusBadRequest, "InvalidRequest", "Bucket is missing Object Lock Configuration")
	})
	until, err = none.RetainedUntil(t.Context(), "backups/a/x")
	require.NoError(t, err)
	assert.Zero(t, until, "a bucket that cannot lock")
	_, err = answers(t, "", "", "AccessDenied").RetainedUntil(t.Context(), "backups/a/x")
	assert.ErrorContains(t, err, "get the retention of backups/a/x")
}
