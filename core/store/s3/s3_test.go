package s3_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/core/store/s3"
)

// These are the answers and faults that a real server does not give on demand;
// what one does give is tested against one, in test/e2e/s3.

const (
	accessKey = "AKIDTESTONLY"
	secretKey = "test-only-secret"
)

func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_SESSION_TOKEN": "test-only-token",
		"AWS_REGION": "", "AWS_PROFILE": "", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// serve opens a store on a server that answers with h.
func serve(t *testing.T, h http.HandlerFunc) *s3.Store {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return openAt(t, server.URL)
}

func openAt(t *testing.T, endpoint string) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), s3.Options{Bucket: "bucket", Prefix: "prod", Endpoint: endpoint, PathStyle: true})
	require.NoError(t, err)
	return s
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("x-amz-request-id", "REQ1")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>%s</Message></Error>`, code, message)
}

func TestARefusalIsOneSentenceWithTheNextStep(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status int
		code   string
		header string
		want   string
	}{
		{"no such bucket", 404, "NoSuchBucket", "", "bucket bucket does not exist at http://127.0.0.1:PORT: check the name and the endpoint, or create it (NoSuchBucket: said, request REQ1)"},
		{"denied", 403, "AccessDenied", "", "access to bucket bucket denied at http://127.0.0.1:PORT: the credentials need s3:ListBucket on the bucket and s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload on its objects, and kms:Decrypt if they are encrypted with a KMS key (AccessDenied: said, request REQ1)"},
		{"archived", 403, "InvalidObjectState", "", "object of bucket bucket is in an archive storage class (for example Glacier) and cannot be read as it is: restore a copy of it to a readable class first (InvalidObjectState: said, request REQ1)"},
		{"disabled key", 400, "KMS.DisabledException", "", "object of bucket bucket is encrypted with a key that cannot be used: enable the key, or cancel its deletion (KMS.DisabledException: said, request REQ1)"},
		{"unknown key", 403, "InvalidAccessKeyId", "", "http://127.0.0.1:PORT does not know the access key: check AWS_ACCESS_KEY_ID or the profile (InvalidAccessKeyId: said, request REQ1)"},
		{"wrong secret", 403, "SignatureDoesNotMatch", "", "http://127.0.0.1:PORT does not accept the secret key: check AWS_SECRET_ACCESS_KEY or the profile (SignatureDoesNotMatch: said, request REQ1)"},
		{"expired token", 400, "ExpiredToken", "", "the credentials have expired or their session token is wrong: renew them (ExpiredToken: said, request REQ1)"},
		{"another region", 301, "PermanentRedirect", "eu-west-3", "bucket bucket is not in the region asked (http://127.0.0.1:PORT): add ?region=eu-west-3 to the location (PermanentRedirect: said, request REQ1)"},
		{"another region, by signature", 400, "AuthorizationHeaderMalformed", "eu-west-3", "add ?region=eu-west-3 to the location"},
		{"full", 507, "XMinioStorageFull", "", "bucket bucket is out of quota or space"},
		{"no S3 server", 404, "", "", "what answers at http://127.0.0.1:PORT does not know bucket bucket and may be no S3 server: check the endpoint"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tt.header != "" {
					w.Header().Set("x-amz-bucket-region", tt.header)
				}
				if tt.code == "" {
					http.NotFound(w, r)
					return
				}
				refuse(w, tt.status, tt.code, "said")
			}))
			t.Cleanup(server.Close)
			s := openAt(t, server.URL)
			want := strings.ReplaceAll(tt.want, "http://127.0.0.1:PORT", server.URL)

			_, getErr := s.Get(t.Context(), "backups/a/x")
			var listErr error
			for _, err := range s.List(t.Context(), "backups/", true) {
				listErr = err
			}
			for method, err := range map[string]error{
				"get": getErr, "list": listErr,
				"put":    s.Put(t.Context(), "backups/a/x", strings.NewReader("x")),
				"delete": s.Delete(t.Context(), "backups/a/x"),
			} {
				require.Error(t, err, method)
				assert.Contains(t, err.Error(), want, method)
				assertNoSecrets(t, err.Error())
				assert.NotErrorIs(t, err, store.ErrNotFound, "%s: a refusal is no missing object", method)
				assert.NotContains(t, err.Error(), "operation error", "%s: the layers of the SDK are no user's business", method)
			}
		})
	}
}

func TestAnOverloadedServerIsTriedAFewTimes(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		refuse(w, http.StatusServiceUnavailable, "SlowDown", "Reduce your request rate.")
	})
	_, err := s.Get(t.Context(), "backups/a/x")
	assert.ErrorContains(t, err, "is overloaded and did not recover within 4 attempts: try again later (SlowDown: Reduce your request rate., request REQ1)")
	assert.EqualValues(t, 4, calls.Load())
}

func TestAServerThatRecoversIsNoError(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		switch calls.Add(1) {
		case 1:
			refuse(w, http.StatusServiceUnavailable, "SlowDown", "")
		case 2:
			panic(http.ErrAbortHandler) // the connection is reset
		default:
			_, _ = io.WriteString(w, "bytes")
		}
	})
	r, err := s.Get(t.Context(), "backups/a/x")
	require.NoError(t, err)
	defer r.Close()
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	assert.Equal(t, "bytes", string(data))
}

// cutting serves one object and breaks each answer after a part of it.
type cutting struct {
	data   []byte
	cut    int  // bytes per answer
	deaf   bool // it ignores ranges
	change bool // the object is another after the first answer
	calls  int
}

func (c *cutting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.calls++
	start := 0
	w.Header().Set("ETag", `"tag"`)
	if rng := r.Header.Get("Range"); rng != "" && !c.deaf {
		if c.change && r.Header.Get("If-Match") == `"tag"` {
			refuse(w, http.StatusPreconditionFailed, "PreconditionFailed", "the object is another")
			return
		}
		if _, err := fmt.Sscanf(rng, "bytes=%d-", &start); err != nil {
			refuse(w, http.StatusBadRequest, "InvalidArgument", rng)
			return
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, len(c.data)-1, len(c.data)))
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(c.data)-start))
	if start > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	_, _ = w.Write(c.data[start:min(start+c.cut, len(c.data))])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func TestAConnectionThatBreaksIsGoneOnWith(t *testing.T) {
	t.Parallel()
	c := &cutting{data: bytes.Repeat([]byte("0123456789"), 1000), cut: 3000}
	s := serve(t, c.ServeHTTP)
	r, err := s.Get(t.Context(), "backups/a/x")
	require.NoError(t, err)
	defer r.Close()
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	assert.Equal(t, c.data, data)
	assert.Equal(t, 4, c.calls)
}

func TestAShortObjectIsAnErrorAndNeverASilentEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*cutting{
		"the server cannot go on in the middle": {data: make([]byte, 10000), cut: 3000, deaf: true},
		"the object was replaced":               {data: make([]byte, 10000), cut: 3000, change: true},
		"every connection breaks soon":          {data: make([]byte, 10000), cut: 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.ServeHTTP)
			r, err := s.Get(t.Context(), "backups/a/x")
			require.NoError(t, err)
			defer r.Close()
			data, err := io.ReadAll(r)
			assert.ErrorContains(t, err, fmt.Sprintf("read backups/a/x: after %d of 10000 bytes", len(data)))
			assert.NotErrorIs(t, err, io.EOF)
			assert.LessOrEqual(t, c.calls, 11, "it gives up")
		})
	}
}

// bucket is a server with objects that appear by PUT, as far as a test of one
// object needs it.
type bucket struct {
	mu      sync.Mutex
	objects map[string]http.Header // of the PUT that made them
	puts    int
	// before may answer a request itself, and after may break its answer.
	before func(w http.ResponseWriter, r *http.Request) bool
	after  func(r *http.Request) bool
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.before != nil && b.before(w, r) {
		return
	}
	made, exists := b.objects[r.URL.Path]
	switch r.Method {
	case http.MethodHead:
		if !exists {
			w.WriteHeader(http.StatusNotFound)
		}
		w.Header().Set("x-amz-meta-lifeboat-put", made.Get("x-amz-meta-lifeboat-put"))
	case http.MethodPut:
		b.puts++
		sum := md5.Sum(body)
		switch {
		case r.Header.Get("Content-MD5") != base64.StdEncoding.EncodeToString(sum[:]):
			refuse(w, http.StatusBadRequest, "BadDigest", "what arrived has another MD5")
			return
		case exists && r.Header.Get("If-None-Match") == "*":
			refuse(w, http.StatusPreconditionFailed, "PreconditionFailed", "it exists")
			return
		}
		b.objects[r.URL.Path] = r.Header.Clone()
	case http.MethodDelete:
		delete(b.objects, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	}
	if b.after != nil && b.after(r) {
		panic(http.ErrAbortHandler)
	}
}

func newBucket() *bucket { return &bucket{objects: map[string]http.Header{}} }

func TestAServerThatKnowsNoConditionsIsWrittenToOnceNevertheless(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"it refuses them": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("If-None-Match") == "" {
				return false
			}
			refuse(w, http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented.")
			return true
		},
		"it ignores them": func(_ http.ResponseWriter, r *http.Request) bool {
			r.Header.Del("If-None-Match")
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBucket()
			b.before = before
			s := serve(t, b.ServeHTTP)
			require.NoError(t, s.Put(t.Context(), "backups/a/x", strings.NewReader("first")))
			require.NoError(t, s.Put(t.Context(), "backups/a/y", strings.NewReader("other")))
			assert.ErrorIs(t, s.Put(t.Context(), "backups/a/x", strings.NewReader("second")), store.ErrExists)
			assert.Equal(t, 2, b.puts)
		})
	}
}

// Servers that speak S3 but not its newer parts fail on trailing checksums;
// buckets with object lock fail without Content-MD5, which bucket checks.
func TestARequestHoldsNothingThatOldServersDoNotKnow(t *testing.T) {
	t.Parallel()
	b := newBucket()
	b.before = func(w http.ResponseWriter, r *http.Request) bool {
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Amz-Trailer") || strings.HasPrefix(name, "X-Amz-Checksum") || strings.HasPrefix(name, "X-Amz-Sdk-Checksum") {
				refuse(w, http.StatusNotImplemented, "NotImplemented", name)
				return true
			}
		}
		if strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") || strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING") {
			refuse(w, http.StatusBadRequest, "InvalidRequest", "aws-chunked")
			return true
		}
		return false
	}
	s := serve(t, b.ServeHTTP)
	require.NoError(t, s.Put(t.Context(), "backups/a/x", strings.NewReader("x")))
	require.NoError(t, s.Put(t.Context(), "backups/a/empty", strings.NewReader("")))
}

func TestAPutWhoseAnswerGotLostKnowsItsObject(t *testing.T) {
	t.Parallel()
	b := newBucket()
	lost := false
	b.after = func(r *http.Request) bool {
		first := r.Method == http.MethodPut && !lost
		lost = lost || first
		return first
	}
	s := serve(t, b.ServeHTTP)
	assert.NoError(t, s.Put(t.Context(), "backups/a/x", strings.NewReader("x")))
	assert.Equal(t, 2, b.puts, "the SDK has tried again, and met the object")
	assert.ErrorIs(t, s.Put(t.Context(), "backups/a/x", strings.NewReader("x")), store.ErrExists)
}

func TestAPutThatIsOvertakenDoesNotTakeTheObjectForItsOwn(t *testing.T) {
	t.Parallel()
	b := newBucket()
	b.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && r.Header.Get("If-None-Match") != "" { // after the look, before the write
			b.objects[r.URL.Path] = http.Header{"X-Amz-Meta-Lifeboat-Put": {"another's"}}
		}
		return false
	}
	s := serve(t, b.ServeHTTP)
	assert.ErrorIs(t, s.Put(t.Context(), "backups/a/x", strings.NewReader("x")), store.ErrExists)
	assert.Equal(t, "another's", b.objects["/bucket/prod/backups/a/x"].Get("x-amz-meta-lifeboat-put"))
}

func TestAPutCancelledAfterItTookEffectIsUndone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	b := newBucket()
	b.after = func(r *http.Request) bool {
		if r.Method == http.MethodPut {
			cancel()
			return true
		}
		return false
	}
	s := serve(t, b.ServeHTTP)
	assert.ErrorIs(t, s.Put(ctx, "backups/a/x", strings.NewReader("x")), context.Canceled)
	b.mu.Lock()
	defer b.mu.Unlock()
	assert.Equal(t, 1, b.puts)
	assert.Empty(t, b.objects)
}

func TestAListingThatIsCutIsAnError(t *testing.T) {
	t.Parallel()
	for name, token := range map[string]string{"no token": "", "the same token again": "<NextContinuationToken>t</NextContinuationToken>"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, `<ListBucketResult><IsTruncated>true</IsTruncated>`+token+
					`<Contents><Key>prod/backups/a/x</Key><Size>1</Size></Contents></ListBucketResult>`)
			})
			var last error
			pages := 0
			for _, err := range s.List(t.Context(), "", true) {
				last = err
				if pages++; pages > 3 {
					break
				}
			}
			assert.ErrorContains(t, last, "the list continues")
		})
	}
}

// A hostile server gives a new token with every page.
func TestAListingWithoutEndEnds(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"the same page again": `<Contents><Key>prod/backups/a/x</Key><Size>1</Size></Contents>`,
		"empty pages":         "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var pages atomic.Int64
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>%d</NextContinuationToken>%s</ListBucketResult>`, pages.Add(1), content)
			})
			var last error
			for _, err := range s.List(t.Context(), "", true) {
				last = err
			}
			assert.ErrorContains(t, last, "repeats the list")
			assert.Less(t, pages.Load(), int64(1100))
		})
	}
}

func TestFoldersMadeByToolsAreNoObjects(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<ListBucketResult><IsTruncated>false</IsTruncated>
			<Contents><Key>prod/</Key><Size>0</Size></Contents>
			<Contents><Key>prod/backups/</Key><Size>0</Size></Contents>
			<Contents><Key>prod/backups/a/x</Key><Size>1</Size></Contents></ListBucketResult>`)
	})
	var keys []string
	for info, err := range s.List(t.Context(), "", true) {
		require.NoError(t, err)
		keys = append(keys, info.Key)
	}
	assert.Equal(t, []string{"backups/a/x"}, keys)
}

func TestAnEndpointThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = log.New(io.Discard, "", 0) // it logs the handshakes that are to fail
	tls.StartTLS()
	t.Cleanup(tls.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, tt := range []struct{ name, endpoint, want string }{
		{"nothing listens", gone.URL, "connection refused): check the endpoint, the network and the proxy settings"},
		{"no such host", "https://no-such-host.invalid", "check the host name"},
		{"TLS where there is none", strings.Replace(plain.URL, "http://", "https://", 1), "write the endpoint with http:// if the server speaks no TLS"},
		{"a certificate of one's own", tls.URL, "name its file in AWS_CA_BUNDLE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := openAt(t, tt.endpoint).Put(t.Context(), "backups/a/x", strings.NewReader("x"))
			assert.ErrorContains(t, err, "put backups/a/x: cannot reach "+tt.endpoint+" for bucket bucket")
			assert.ErrorContains(t, err, tt.want)
			assertNoSecrets(t, err.Error())
		})
	}
}

func assertNoSecrets(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{accessKey, secretKey, "test-only-token"} {
		assert.NotContains(t, text, secret)
	}
}

// skewed is a bucket whose server takes this machine's clock for wrong.
func skewed(by time.Duration, forgives bool, calls *atomic.Int32) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		now := time.Now().Add(by)
		w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
		signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err != nil || now.Sub(signed).Abs() > 15*time.Minute || !forgives {
			refuse(w, http.StatusForbidden, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
			return
		}
		_, _ = io.WriteString(w, "bytes")
	}
}

func TestAWrongClockIsCorrectedByTheServersAndNamedWhereItCannotBe(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{-time.Hour, 24 * time.Hour} {
		var calls atomic.Int32
		s := serve(t, skewed(by, true, &calls))
		for range 3 {
			r, err := s.Get(t.Context(), "backups/a/x")
			require.NoError(t, err, "the server's clock is %s off", by)
			r.Close()
		}
		assert.EqualValues(t, 4, calls.Load(), "one refusal teaches the SDK the server's time")
	}
	var calls atomic.Int32
	_, err := serve(t, skewed(time.Hour, false, &calls)).Get(t.Context(), "backups/a/x")
	assert.ErrorContains(t, err, "differ too much: set this machine's (RequestTimeTooSkewed: ")
	assert.LessOrEqual(t, calls.Load(), int32(4))
}

func TestAByteThatChangesInTheBucketIsFoundByReading(t *testing.T) {
	t.Parallel()
	var kept []byte
	header := http.Header{}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodHead:
			w.WriteHeader(http.StatusNotFound)
		case http.MethodPut:
			kept, _ = io.ReadAll(r.Body)
			for name := range r.Header {
				if strings.HasPrefix(name, "X-Amz-Meta-") {
					header.Set(name, r.Header.Get(name))
				}
			}
		case http.MethodGet:
			for name := range header {
				w.Header().Set(name, header.Get(name))
			}
			_, _ = w.Write(kept)
		}
	})
	want := []byte(`{"kind":"Backup"}`)
	require.NoError(t, s.Put(t.Context(), "backups/a/x", bytes.NewReader(want)))
	read := func() ([]byte, error) {
		r, err := s.Get(t.Context(), "backups/a/x")
		require.NoError(t, err)
		defer r.Close()
		return io.ReadAll(r)
	}
	got, err := read()
	require.NoError(t, err)
	assert.Equal(t, want, got)
	for i := range kept {
		kept[i] ^= 1
		_, err := read()
		require.EqualError(t, err, "read backups/a/x: after 17 of 17 bytes: the object is damaged: its SHA-256 does not match what was written", "byte %d", i)
		kept[i] ^= 1
	}
}
