package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// maxResumes bounds how often one reader replaces a broken connection. A
// restore reads an archive as fast as a cluster takes the objects, for
// minutes; servers and proxies close connections that are this slow.
const maxResumes = 10

// errDamaged says that an object is not the one that was put.
var errDamaged = errors.New("the object is damaged: its SHA-256 does not match what was written")

// reader reads an object to the length its server announced; less is an
// error, and so is, at the end, another content than was put.
type reader struct {
	ctx    context.Context //nolint:containedctx // of the Get, which the reading belongs to
	store  *Store
	key    string
	etag   *string
	size   int64 // bytes; -1 when the server did not say
	offset int64 // bytes read
	body   io.ReadCloser
	want   string    // SHA-256 of what was put, hex; "" when it is not known
	sum    hash.Hash // of what was read

	resumes int
	closed  bool
}

func newReader(ctx context.Context, s *Store, key string, out *awss3.GetObjectOutput) *reader {
	r := &reader{ctx: ctx, store: s, key: key, etag: out.ETag, size: -1, body: out.Body, want: out.Metadata[sumMetadata], sum: sha256.New()}
	if out.ContentLength != nil {
		r.size = *out.ContentLength
	}
	return r
}

func (r *reader) Read(p []byte) (int, error) {
	switch {
	case r.closed:
		return 0, os.ErrClosed
	case r.ctx.Err() != nil:
		return 0, r.wrap(r.ctx.Err())
	}
	n, err := r.body.Read(p)
	r.offset += int64(n)
	if r.want != "" {
		r.sum.Write(p[:n])
	}
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF && (r.size < 0 || r.offset == r.size):
		return n, r.end()
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	if err := r.resume(err); err != nil {
		return n, err
	}
	return n, nil
}

// end is io.EOF, if what was read is what was put.
func (r *reader) end() error {
	if r.want != "" && hex.EncodeToString(r.sum.Sum(nil)) != r.want {
		return r.wrap(errDamaged)
	}
	return io.EOF
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.closed = true
	return r.body.Close()
}

// resume replaces the connection that broke with cause, or returns an error.
func (r *reader) resume(cause error) error {
	switch {
	case r.ctx.Err() != nil:
		return r.wrap(r.ctx.Err())
	case r.size < 0 || r.etag == nil || r.resumes == maxResumes:
		return r.wrap(cause)
	}
	r.resumes++
	out, err := r.store.client.GetObject(r.ctx, &awss3.GetObjectInput{
		Bucket: &r.store.options.Bucket, Key: r.store.key(r.key),
		Range: aws.String(fmt.Sprintf("bytes=%d-", r.offset)), IfMatch: r.etag,
	})
	if err != nil {
		return r.wrap(errors.Join(cause, r.store.explain(r.ctx, err)))
	}
	if !strings.HasPrefix(aws.ToString(out.ContentRange), fmt.Sprintf("bytes %d-", r.offset)) {
		out.Body.Close()
		return r.wrap(fmt.Errorf("%w; the server cannot go on in the middle", cause))
	}
	r.body.Close()
	r.body = out.Body
	return nil
}

func (r *reader) wrap(err error) error {
	if r.size < 0 {
		return fmt.Errorf("read %s: after %d bytes: %w", r.key, r.offset, err)
	}
	return fmt.Errorf("read %s: after %d of %d bytes: %w", r.key, r.offset, r.size, err)
}

// GetRange implements store.Ranger. A connection that breaks is an error of Read: a
// part is small, and its reader asks again.
func (s *Store) GetRange(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := check(ctx, key); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	if length <= 0 {
		return io.NopCloser(strings.NewReader("")), nil
	}
	out, err := s.client.GetObject(ctx, &awss3.GetObjectInput{
		Bucket: &s.options.Bucket, Key: s.key(key), Range: aws.String(fmt.Sprintf("bytes=%d-%d", offset, offset+length-1)),
	})
	var api smithy.APIError
	switch {
	case errors.As(err, &api) && api.ErrorCode() == "InvalidRange": // it ends before the offset
		return io.NopCloser(strings.NewReader("")), nil
	case isMissing(err):
		return nil, fmt.Errorf("get %s: %w", key, store.ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("get %s: %w", key, s.explain(ctx, err))
	}
	if !strings.HasPrefix(aws.ToString(out.ContentRange), fmt.Sprintf("bytes %d-", offset)) {
		out.Body.Close()
		return nil, fmt.Errorf("get %s: the server does not answer with the part that was requested (bytes %d to %d)", key, offset, offset+length-1)
	}
	r := newReader(ctx, s, key, out)
	r.want, r.etag = "", nil // the digest is that of the whole object
	return r, nil
}
