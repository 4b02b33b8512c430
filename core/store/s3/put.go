package s3

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

const (
	partSize    = 8 << 20 // bytes
	concurrency = 3       // parts under way per Put

	// idMetadata names the metadata that distinguishes one Put's object from another's.
	idMetadata = "lifeboat-put"
	// sumMetadata names that of the object's SHA-256, hex.
	sumMetadata = "lifeboat-sha256"
)

// Put implements store.Store.
func (s *Store) Put(ctx context.Context, key string, r io.Reader) error {
	if err := check(ctx, key); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	if err := s.put(ctx, key, r); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return nil
}

func (s *Store) put(ctx context.Context, key string, r io.Reader) error {
	if _, exists, err := s.head(ctx, key); err != nil {
		return s.explain(ctx, s.detail(ctx, key, err))
	} else if exists {
		return store.ErrExists
	}
	src := &source{r: store.ContextReader(ctx, r)}
	id := rand.Text()
	err := s.upload(ctx, &transfermanager.UploadObjectInput{
		Bucket: &s.options.Bucket, Key: s.key(key), Body: src,
		IfNoneMatch: aws.String("*"),
		Metadata:    map[string]string{idMetadata: id},
	})
	switch {
	case err == nil:
		return nil
	case src.err != nil:
		return src.err
	case !src.ended: // then nothing can have been published
		return s.explain(ctx, err)
	}
	return s.settle(ctx, key, id, err)
}

// upload sends an object in one request, or in parts if it fills one.
func (s *Store) upload(ctx context.Context, in *transfermanager.UploadObjectInput) error {
	a := &api{Client: s.client, store: s}
	_, err := transfermanager.New(a, func(o *transfermanager.Options) {
		o.PartSizeBytes, o.MultipartUploadThreshold = partSize, partSize
		o.Concurrency = concurrency
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	}).UploadObject(ctx, in)
	if err != nil {
		return err
	}
	return a.incomplete
}

// settle finds out what became of an upload that failed after all of it was
// read: a lost answer, repeated by the SDK, meets the object it made. An
// object of ours stays and err is forgotten, unless ctx is over: then it goes.
func (s *Store) settle(ctx context.Context, key, id string, err error) error {
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	found, exists, headErr := s.head(clean, key)
	switch {
	case headErr != nil:
		return s.explain(ctx, err)
	case exists && found == id && ctx.Err() == nil:
		return nil
	case exists && found == id:
		return errors.Join(ctx.Err(), s.Delete(clean, key))
	case lost(err) && (exists || isPreconditionFailed(err)):
		return store.ErrExists
	}
	return s.explain(ctx, err)
}

// head looks for an object, and for the id its Put gave it.
func (s *Store) head(ctx context.Context, key string) (id string, exists bool, err error) {
	out, err := s.client.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &s.options.Bucket, Key: s.key(key)})
	if isMissingHead(err) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	return out.Metadata[idMetadata], true, nil
}

// detail replaces the error of a HEAD, whose answer has no body and so no
// reason, by that of a listing of the same key.
func (s *Store) detail(ctx context.Context, key string, err error) error {
	if !isRefused(err) {
		return err
	}
	_, listErr := s.client.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{
		Bucket: &s.options.Bucket, Prefix: s.key(key), MaxKeys: aws.Int32(1),
	})
	if listErr != nil {
		return listErr
	}
	return err
}

// api is the client that one upload uses, made safe to stop and exact about what
// exists.
type api struct {
	*awss3.Client
	store *Store
	// incomplete is the error of CompleteMultipartUpload.
	incomplete error
}

func (a *api) PutObject(ctx context.Context, in *awss3.PutObjectInput, opts ...func(*awss3.Options)) (*awss3.PutObjectOutput, error) {
	body := in.Body.(io.ReadSeeker) // the upload manager reads it into memory
	content := sha256.New()
	sum, err := md5Of(body, content)
	if err != nil {
		return nil, err
	}
	in.ContentMD5 = sum
	in.Metadata[sumMetadata] = hex.EncodeToString(content.Sum(nil))
	return conditional(a.store, &in.IfNoneMatch, func() (*awss3.PutObjectOutput, error) {
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		return a.Client.PutObject(ctx, in, opts...)
	})
}

// UploadPart outlives ctx by partGrace: a part that is still arriving when its
// upload is aborted may stay, and S3 then keeps the upload with it.
func (a *api) UploadPart(ctx context.Context, in *awss3.UploadPartInput, opts ...func(*awss3.Options)) (*awss3.UploadPartOutput, error) {
	ctx, cancel := outlive(ctx, partGrace)
	defer cancel()
	sum, err := md5Of(in.Body.(io.ReadSeeker), io.Discard)
	if err != nil {
		return nil, err
	}
	in.ContentMD5 = sum
	return a.Client.UploadPart(ctx, in, opts...)
}

// CreateMultipartUpload is not cancelled with ctx: an upload whose id no one
// learnt could not be aborted.
func (a *api) CreateMultipartUpload(ctx context.Context, in *awss3.CreateMultipartUploadInput, opts ...func(*awss3.Options)) (*awss3.CreateMultipartUploadOutput, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	return a.Client.CreateMultipartUpload(ctx, in, opts...)
}

// CompleteMultipartUpload keeps its error for upload. The upload manager would
// print it with the standard library's logger, even if another writer was faster,
// which is not worth a message.
func (a *api) CompleteMultipartUpload(ctx context.Context, in *awss3.CompleteMultipartUploadInput, opts ...func(*awss3.Options)) (*awss3.CompleteMultipartUploadOutput, error) {
	out, err := conditional(a.store, &in.IfNoneMatch, func() (*awss3.CompleteMultipartUploadOutput, error) {
		return a.Client.CompleteMultipartUpload(ctx, in, opts...)
	})
	if err == nil {
		return out, nil
	}
	a.incomplete = err
	_, err = a.AbortMultipartUpload(ctx, &awss3.AbortMultipartUploadInput{Bucket: in.Bucket, Key: in.Key, UploadId: in.UploadId}, opts...)
	return &awss3.CompleteMultipartUploadOutput{}, err
}

// AbortMultipartUpload is not cancelled with ctx: parts left behind cost money
// and no listing shows them. It never fails: the upload manager would replace
// the error that ended the upload by that of the abort.
func (a *api) AbortMultipartUpload(ctx context.Context, in *awss3.AbortMultipartUploadInput, opts ...func(*awss3.Options)) (*awss3.AbortMultipartUploadOutput, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if out, err := a.Client.AbortMultipartUpload(ctx, in, opts...); err == nil {
		return out, nil
	}
	return &awss3.AbortMultipartUploadOutput{}, nil
}

// conditional sends a request with its condition, and without it on a server
// that has said it knows none.
func conditional[T any](s *Store, condition **string, send func() (*T, error)) (*T, error) {
	if s.unconditional.Load() {
		*condition = nil
	}
	out, err := send()
	if err != nil && *condition != nil && isNotImplemented(err) {
		s.unconditional.Store(true)
		*condition = nil
		return send()
	}
	return out, err
}

// outlive is a context that ends a while after ctx does.
func outlive(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(longer, func() { timer.Stop() })
	})
	return longer, func() { stop(); cancel() }
}

// md5Of hands all of body to and as well, and rewinds it.
func md5Of(body io.ReadSeeker, and io.Writer) (*string, error) {
	h := md5.New()
	if _, err := io.Copy(io.MultiWriter(h, and), body); err != nil {
		return nil, err
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return aws.String(base64.StdEncoding.EncodeToString(h.Sum(nil))), nil
}

// source keeps what the errors of an upload do not tell: whether r failed, and
// whether it was read to its end.
type source struct {
	r     io.Reader
	err   error
	ended bool
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	switch {
	case err == io.EOF:
		s.ended = true
	case err != nil:
		s.err = err
	}
	return n, err
}
