// Package s3 is a store in a bucket of Amazon S3 or of a server that speaks
// its protocol: s3://bucket/prefix. It is the only importer of the AWS SDK.
//
// Credentials come from the options or else the SDK's own chain: environment,
// shared files, web identity, container and instance roles.
//
// # Written once
//
// Every Put looks first whether the key exists, which spares the upload and
// guards on servers that ignore conditions, and then writes with
// If-None-Match: *, in PutObject and in CompleteMultipartUpload, which makes
// it exact among concurrent writers. A server that refuses the header as not
// implemented is written to without it; there, and on servers that ignore it,
// two writers of one key at the same instant are not told apart. Each object
// carries a random id in its metadata, so that a Put whose answer got lost,
// and which then meets its own object, knows it as its own.
//
// # Memory
//
// An object smaller than a part (8 MiB) is sent as one request. A larger one
// goes up in parts, three at a time; with one being read and the first, at
// most five parts, 40 MiB, are held per Put, whatever its size. S3 takes
// 10,000 parts, so an object is at most 78 GiB. An upload that fails or is
// cancelled is aborted; only one whose process dies, or whose server is gone,
// leaves parts, which a rule of the bucket for incomplete uploads removes.
//
// # Checksums
//
// The SDK's default of trailing checksums is off, because many servers that
// speak S3 do not know them. Bodies are in memory when sent, so each request
// carries their SHA-256 in its signature and their MD5 in Content-MD5, which
// every server checks and buckets with object lock demand. An object of one
// request, which is every file of a backup but a large tarball, also carries its
// SHA-256 in its metadata; whoever reads it to its end has it compared. A
// tarball has gzip's own sum and its digest in the backup's manifest.
package s3

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

const (
	// An endpoint that swallows packets is given up after four dials and the
	// pauses between them, 15 seconds; one that refuses them, as a server that
	// restarts does, after the 5 seconds of the pauses.
	maxAttempts = 4
	dialTimeout = 2500 * time.Millisecond
	// idleConnections is how many connections are kept for reuse: the most
	// requests one caller has under way.
	idleConnections = 32
	maxBackoff      = 2 * time.Second
	// Completing a large multipart upload takes some servers a minute.
	answerTimeout = 2 * time.Minute
	// stallTimeout is how long a connection may stand still before it is taken
	// for broken: this long to be written, twice as long to be read. It leaves
	// time for the answer.
	stallTimeout = answerTimeout + 30*time.Second
	// credentialsTimeout bounds helpers of the chain that hang. The SDK itself
	// gives up the metadata service of an instance after 5 seconds.
	credentialsTimeout = time.Minute
	// cleanupTimeout bounds what is done about a Put that failed, when its
	// own context may be over.
	cleanupTimeout = 30 * time.Second
	// partGrace is what parts under way get to arrive after a Put was
	// cancelled, which then takes that long to return.
	partGrace = 3 * time.Second

	// defaultRegion signs for servers that have no regions. On AWS a bucket
	// elsewhere answers with its region, which the error then names.
	defaultRegion = "us-east-1"
)

// Options say which bucket, and how to reach it.
type Options struct {
	Bucket string
	// Prefix is the folder in the bucket; "" is the bucket itself.
	Prefix string
	// Region is the bucket's; "" takes the SDK's (AWS_REGION, the profile),
	// and us-east-1 when it has none.
	Region string
	// Endpoint is the http or https URL of a server other than AWS; "" takes
	// the SDK's (AWS_ENDPOINT_URL_S3), and AWS when it has none.
	Endpoint string
	// PathStyle puts the bucket into the path of a request instead of the host
	// name. Most servers other than AWS need it.
	PathStyle bool
	// Credentials are used instead of the SDK's chain, unless they are empty.
	Credentials Credentials
	// Profile is the one of the SDK's shared files; "" is AWS_PROFILE or default.
	Profile string
	// CACert are certificates (PEM) that the server's is checked against, instead
	// of those of the system.
	CACert []byte
	// Insecure does not check the server's certificate.
	Insecure bool
}

// Credentials are static ones. They do not appear in String, JSON or logs.
type Credentials struct {
	AccessKeyID     string `json:"-"`
	SecretAccessKey string `json:"-"`
	SessionToken    string `json:"-"`
}

// IsZero reports whether there are none.
func (c Credentials) IsZero() bool { return c == Credentials{} }

func (c Credentials) String() string { return "(not shown)" }

// GoString hides the credentials from %#v.
func (c Credentials) GoString() string { return c.String() }

// Retrieve implements aws.CredentialsProvider.
func (c Credentials) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Source: "location"}, nil
}

// String is the URL that location.Parse reads; it holds no credentials.
func (o Options) String() string {
	q := url.Values{}
	if o.Region != "" {
		q.Set("region", o.Region)
	}
	if o.Endpoint != "" {
		q.Set("endpoint", o.Endpoint)
	}
	if o.PathStyle != (o.Endpoint != "") {
		q.Set("path-style", strconv.FormatBool(o.PathStyle))
	}
	u := url.URL{Scheme: "s3", Host: o.Bucket, RawQuery: q.Encode()}
	if o.Prefix != "" {
		u.Path = "/" + o.Prefix
	}
	return u.String()
}

// Store implements store.Store in one bucket.
type Store struct {
	options Options
	where   string // the endpoint, for messages
	client  *awss3.Client
	sent    *sent
	// unconditional is set once the server has refused If-None-Match.
	unconditional atomic.Bool
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Ranger = (*Store)(nil)
)

// Open makes a Store. It fetches credentials, so that missing ones are an
// error here, but sends nothing to the bucket.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open location %s: %w", o, err)
	}
	return s, nil
}

func open(ctx context.Context, o Options) (*Store, error) {
	client, err := o.trust(httpClient(stallTimeout))
	if err != nil {
		return nil, err
	}
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithHTTPClient(client),
		o.chain,
		config.WithRetryer(newRetryer),
		config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired),
		config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired),
		config.WithLogger(logging.Nop{}),
	)
	if err != nil {
		return nil, fmt.Errorf("read the AWS configuration: %w", err)
	}
	cfg.Credentials = aws.NewCredentialsCache(credentials{cfg.Credentials})
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return nil, explain(ctx, err, o, "")
	}
	if o.Region != "" {
		cfg.Region = o.Region
	}
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	s := &Store{options: o}
	s.client = awss3.NewFromConfig(cfg, func(c *awss3.Options) {
		if o.Endpoint != "" {
			c.BaseEndpoint = aws.String(o.Endpoint)
		}
		c.UsePathStyle = o.PathStyle
		s.sent = &sent{client: c.HTTPClient, n: map[string]uint64{}}
		c.HTTPClient = s.sent
		s.where = "AWS region " + c.Region
		if c.BaseEndpoint != nil {
			s.where = withoutUser(*c.BaseEndpoint)
		}
	})
	return s, nil
}

// chain says where credentials come from.
func (o Options) chain(l *config.LoadOptions) error {
	l.SharedConfigProfile = o.Profile
	if !o.Credentials.IsZero() {
		l.Credentials = o.Credentials
	}
	return nil
}

// trust makes a client check certificates as the options say.
func (o Options) trust(client *awshttp.BuildableClient) (*awshttp.BuildableClient, error) {
	var pool *x509.CertPool
	if len(o.CACert) > 0 {
		pool = x509.NewCertPool()
		if !pool.AppendCertsFromPEM(o.CACert) {
			return nil, errors.New("the CA certificate holds no certificate in PEM form")
		}
	}
	if pool == nil && !o.Insecure {
		return client, nil
	}
	return client.WithTransportOptions(func(t *http.Transport) {
		t.TLSClientConfig.RootCAs, t.TLSClientConfig.InsecureSkipVerify = pool, o.Insecure
	}), nil
}

func httpClient(stall time.Duration) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConnsPerHost = idleConnections
			t.TLSHandshakeTimeout = dialTimeout
			t.ResponseHeaderTimeout = answerTimeout
			dial := t.DialContext
			t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := dial(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return lively{Conn: c, stall: stall}, nil
			}
		})
}

// lively is a connection that fails when it stalls. Without it a server
// that takes or gives no more bytes, and keeps the connection, would be waited
// for without end.
type lively struct {
	net.Conn
	stall time.Duration
}

// Read is given twice the time of a write: of a server that takes no more bytes
// the write must be what fails, with a timeout, and not the read that waits for
// the answer meanwhile and closes the connection under the write.
func (c lively) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(2 * c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write is progress for that read as well.
func (c lively) Write(p []byte) (int, error) {
	now := time.Now()
	if err := errors.Join(c.SetWriteDeadline(now.Add(c.stall)), c.SetReadDeadline(now.Add(2*c.stall))); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = maxBackoff
		// Two writers of one key met; the next attempt learns who won.
		o.Retryables = append(o.Retryables, retry.RetryableErrorCode{
			Codes: map[string]struct{}{"ConditionalRequestConflict": {}, "OperationAborted": {}},
		})
	})
}

// credentials is the SDK's chain with an end, and with errors that explain
// knows.
type credentials struct{ chain aws.CredentialsProvider }

func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	bounded, cancel := context.WithTimeout(ctx, credentialsTimeout)
	defer cancel()
	v, err := c.chain.Retrieve(bounded)
	if err != nil {
		return aws.Credentials{}, &credentialsError{err}
	}
	return v, nil
}

// String is the location's URL.
func (s *Store) String() string { return s.options.String() }

// Get implements store.Store. A connection that breaks while the object is
// read is replaced by one that goes on where it broke.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := check(ctx, key); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	out, err := s.client.GetObject(ctx, &awss3.GetObjectInput{Bucket: &s.options.Bucket, Key: s.key(key)})
	if err != nil {
		if isMissing(err) {
			err = store.ErrNotFound
		}
		return nil, fmt.Errorf("get %s: %w", key, s.explain(ctx, err))
	}
	return newReader(ctx, s, key, out), nil
}

// Delete implements store.Store. S3 does not tell whether there was an object.
// A bucket with versioning keeps it as an older version, which no method of a
// Store sees.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := check(ctx, key); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	_, err := s.client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &s.options.Bucket, Key: s.key(key)})
	if isMissing(err) {
		err = store.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("delete %s: %w", key, explainDelete(ctx, err, s.options, s.where))
	}
	return nil
}

// base is what every key in the bucket begins with.
func (s *Store) base() string {
	if s.options.Prefix == "" {
		return ""
	}
	return s.options.Prefix + "/"
}

func (s *Store) key(key string) *string { return aws.String(s.base() + key) }

func (s *Store) explain(ctx context.Context, err error) error {
	return explain(ctx, err, s.options, s.where)
}

func check(ctx context.Context, key string) error {
	if err := store.CheckKey(key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// withoutUser is a URL without the credentials that it may hold, such as that of
// AWS_ENDPOINT_URL: it is shown in errors.
func withoutUser(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "the configured endpoint"
	}
	u.User = nil
	return u.String()
}
