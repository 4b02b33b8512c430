//go:build e2e

package s3_test

import (
	"bytes"
	"fmt"
	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/test/rig"
)

func TestAByteThatChangesBehindTheServersBackIsFoundByReading(t *testing.T) {
	server := rig.S3(t)
	s := open(t, server.URL("prod"))
	writeBackup(t, s, "nightly")
	file := filepath.Join(server.Dir, server.Bucket, "prod", "backups", "nightly", store.MetadataFile)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	at := bytes.Index(content, []byte("nightly"))
	content[at] ^= 1
	f, err := os.OpenFile(file, os.O_WRONLY, 0) // in place: the server keeps what it knows of it beside the content
	require.NoError(t, err)
	_, err = f.Write(content)
	require.NoError(t, err)
	require.NoError(t, f.Close())

	_, err = catalog.Read(t.Context(), s, "nightly")
	assert.ErrorContains(t, err, "the object is damaged: its SHA-256 does not match what was written")
	out, code := lifeboat(t, "backup", "get", "nightly", "--location", server.URL("prod"))
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "the object is damaged")
}

// expiring is a server whose credentials expire with the nth part; forAll says
// that nothing is allowed any more then, not even to clean up.
func expiring(t *testing.T, server rig.S3Server, nth int, forAll bool) rig.S3Server {
	var over atomic.Bool
	server.Endpoint = rig.AnsweringProxy(t, server.Endpoint, func(w http.ResponseWriter, r *http.Request) bool {
		part, _ := strconv.Atoi(r.URL.Query().Get("partNumber"))
		late := part >= nth
		if late {
			over.Store(true)
		}
		if !late && !(forAll && over.Load()) {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body) // an answer before the end of a body may get lost with the connection
		refuse(w, http.StatusBadRequest, "ExpiredToken", "The provided token has expired.")
		return true
	})
	return server
}

func TestCredentialsThatExpireInTheMiddleOfAnUpload(t *testing.T) {
	for name, forAll := range map[string]bool{"for one request": false, "for all that follow": true} {
		t.Run(name, func(t *testing.T) {
			server := rig.S3(t)
			s := open(t, expiring(t, server, 3, forAll).URL("prod"))
			w, err := store.Begin(t.Context(), s, "nightly")
			require.NoError(t, err)
			began := time.Now()
			_, _, err = w.Put(t.Context(), store.Contents("nightly"), random(40<<20))
			assert.ErrorContains(t, err, "put backups/nightly/nightly.tar.gz: the credentials have expired or their session token is wrong: renew them (ExpiredToken: The provided token has expired.")
			assert.Less(t, time.Since(began), 20*time.Second, "another try would not help")
			err = w.Commit(t.Context(), []byte("{}"))
			assert.ErrorContains(t, err, "these files were not written: backups/nightly/nightly.tar.gz")
			err = w.Abort(t.Context())

			direct := open(t, server.URL("prod"))
			assert.Empty(t, keys(t, direct))
			if forAll {
				if err != nil { // it had read all of it, and cannot see that nothing is there
					assert.ErrorContains(t, err, "abort backup nightly: get backups/nightly/nightly.tar.gz: the credentials have expired")
				}
				assert.Len(t, uploads(t, server), 1, "parts that must not be removed stay for the bucket's rule; no listing shows them")
			} else {
				assert.NoError(t, err)
				assert.Empty(t, uploads(t, server))
			}
			writeBackup(t, direct, "nightly") // the name is free
		})
	}
}

// What servers that speak S3 and not its newest parts refuse.
func TestAServerWithoutTrailersAndChunksIsWrittenTo(t *testing.T) {
	server := rig.S3(t)
	proxied := server
	var requests, refused atomic.Int32
	proxied.Endpoint = rig.AnsweringProxy(t, server.Endpoint, func(w http.ResponseWriter, r *http.Request) bool {
		requests.Add(1)
		code := ""
		switch sum := r.Header.Get("X-Amz-Content-Sha256"); {
		case strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") || strings.HasPrefix(sum, "STREAMING-") || r.Header.Get("X-Amz-Trailer") != "":
			code = "XAmzContentSHA256Mismatch"
		case r.Header.Get("X-Amz-Sdk-Checksum-Algorithm") != "" || r.Header.Get("X-Amz-Checksum-Crc32") != "" || r.Header.Get("X-Amz-Checksum-Mode") != "":
			code = "NotImplemented"
		case r.Method == http.MethodPut && len(sum) != 64:
			code = "InvalidRequest" // the body is signed
		}
		if code == "" {
			return false
		}
		refused.Add(1)
		refuse(w, http.StatusBadRequest, code, "not here")
		return true
	})
	s := open(t, proxied.URL("prod"))
	writeBackup(t, s, "nightly") // in parts, and in one request each
	assert.Len(t, read(t, s, store.Contents("nightly")), 10<<20)
	_, err := store.DeleteBackup(t.Context(), s, "nightly")
	require.NoError(t, err)
	assert.Zero(t, refused.Load())
	assert.Greater(t, requests.Load(), int32(10))
}

// A bucket is in the path of a request or in its host name; the program's own
// proxy settings lead the host name to the server.
func TestABucketIsReachedByItsHostNameToo(t *testing.T) {
	server := rig.S3(t)
	writeBackup(t, open(t, server.URL("prod")), "nightly")
	to, err := url.Parse(server.Endpoint)
	require.NoError(t, err)
	var hosts atomic.Int32
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		if r.In.Host == server.Bucket+"."+rig.S3Domain {
			hosts.Add(1)
		}
		r.SetURL(to)
		r.Out.Host = r.In.Host // it is part of the signature
	}})
	t.Cleanup(proxy.Close)
	for _, style := range []string{"false", "true"} {
		hosts.Store(0)
		location := "s3://" + server.Bucket + "/prod?endpoint=" + url.QueryEscape("http://"+rig.S3Domain) + "&region=" + server.Region + "&path-style=" + style
		cmd := exec.Command(rig.Program(t, "lifeboat"), "backup", "get", "--location", location)
		cmd.Env = append(os.Environ(), "HTTP_PROXY="+proxy.URL, "NO_PROXY=")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		assert.Contains(t, string(out), "nightly")
		if style == "false" {
			assert.Equal(t, int32(2), hosts.Load(), "a listing, and velero-backup.json, by host name")
		} else {
			assert.Zero(t, hosts.Load())
		}
	}
}

// The server's own speed is most of the time; what we ask of it is what counts.
func TestAListOfTenThousandBackupsTakesTenPagesAndOneReadEach(t *testing.T) {
	const backups = 10_000
	server := rig.S3(t)
	for i := range backups { // as files, which the server takes for objects
		name := fmt.Sprintf("b-%05d", i)
		dir := filepath.Join(server.Dir, server.Bucket, "prod", "backups", name)
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, store.MetadataFile), fmt.Appendf(nil,
			`{"kind":"Backup","apiVersion":"velero.io/v1","metadata":{"name":%q},"status":{"phase":"Completed","startTimestamp":"2026-01-01T00:00:00Z"}}`, name), 0o644))
	}
	var lists, gets atomic.Int32
	proxied := server
	proxied.Endpoint = rig.AnsweringProxy(t, server.Endpoint, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Has("list-type") {
			lists.Add(1)
		} else {
			gets.Add(1)
		}
		return false
	})
	began := time.Now()
	out, code := lifeboat(t, "backup", "get", "--location", proxied.URL("prod"))
	took := time.Since(began)
	require.Zero(t, code, out)
	assert.Equal(t, backups+1, strings.Count(out, "\n"))
	assert.EqualValues(t, backups/1000, lists.Load())
	assert.EqualValues(t, backups, gets.Load())
	t.Logf("%d backups: %d lists, %d reads, %s", backups, lists.Load(), gets.Load(), took.Round(10*time.Millisecond))
}
