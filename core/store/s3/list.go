package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/lifeboat-backup/lifeboat/core/store"
)

var (
	errCut = errors.New("the server reports that the list continues, and not where")
	// errNoProgress ends listings that would never end.
	errNoProgress = errors.New("the server repeats the list, or sends empty pages without end")
)

// maxEmpty is how many pages without a key may follow each other: a bucket with many
// deleted versions can have some.
const maxEmpty = 1000

// List implements store.Store. It holds one page, 1000 keys, in memory.
// Objects whose key ends in "/", which some tools make to show a folder, are
// not shown.
func (s *Store) List(ctx context.Context, prefix string, recursive bool) iter.Seq2[store.Info, error] {
	in := &awss3.ListObjectsV2Input{Bucket: &s.options.Bucket, Prefix: s.key(prefix)}
	if !recursive {
		in.Delimiter = aws.String("/")
	}
	return s.list(ctx, prefix, in)
}

// ListAfter is List, recursive, of the keys that come after one, which need not
// exist. Whoever stops early is sent no further pages.
func (s *Store) ListAfter(ctx context.Context, prefix, after string) iter.Seq2[store.Info, error] {
	return s.list(ctx, prefix, &awss3.ListObjectsV2Input{Bucket: &s.options.Bucket, Prefix: s.key(prefix), StartAfter: s.key(after)})
}

func (s *Store) list(ctx context.Context, prefix string, first *awss3.ListObjectsV2Input) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		if err := store.CheckPrefix(prefix); err != nil {
			yield(store.Info{}, fmt.Errorf("list: %w", err))
			return
		}
		in := *first // the sequence may be run again
		last, empty := "", 0
		for more := true; more; {
			page, err := s.page(ctx, &in)
			if err != nil {
				yield(store.Info{}, fmt.Errorf("list %q: %w", prefix, err))
				return
			}
			infos := s.infos(page)
			if empty++; len(infos) > 0 {
				empty = 0
			}
			if empty > maxEmpty || len(infos) > 0 && infos[len(infos)-1].Key <= last {
				yield(store.Info{}, fmt.Errorf("list %q: %w", prefix, errNoProgress))
				return
			}
			for _, info := range infos {
				last = info.Key
				if !yield(info, nil) {
					return
				}
			}
			in.ContinuationToken = page.NextContinuationToken
			more = aws.ToBool(page.IsTruncated)
		}
	}
}

// page fetches one page. The SDK's own paginator would take one without a
// token for the last, though the server says it is not.
func (s *Store) page(ctx context.Context, in *awss3.ListObjectsV2Input) (*awss3.ListObjectsV2Output, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	page, err := s.client.ListObjectsV2(ctx, in)
	if err != nil {
		return nil, s.explain(ctx, err)
	}
	next := aws.ToString(page.NextContinuationToken)
	if aws.ToBool(page.IsTruncated) && (next == "" || next == aws.ToString(in.ContinuationToken)) {
		return nil, errCut
	}
	return page, nil
}

// infos merges the two lists of a page, objects and folders, into one in the
// order of the keys.
func (s *Store) infos(page *awss3.ListObjectsV2Output) []store.Info {
	infos := make([]store.Info, 0, len(page.Contents)+len(page.CommonPrefixes))
	for _, o := range page.Contents {
		if key, ok := s.below(o.Key); ok && !strings.HasSuffix(key, "/") {
			infos = append(infos, store.Info{Key: key, Size: aws.ToInt64(o.Size), Modified: aws.ToTime(o.LastModified), ETag: aws.ToString(o.ETag)})
		}
	}
	for _, p := range page.CommonPrefixes {
		if key, ok := s.below(p.Prefix); ok {
			infos = append(infos, store.Info{Key: key})
		}
	}
	slices.SortFunc(infos, func(a, b store.Info) int { return cmp.Compare(a.Key, b.Key) })
	return infos
}

func (s *Store) below(key *string) (string, bool) {
	k, ok := strings.CutPrefix(aws.ToString(key), s.base())
	return k, ok && k != ""
}
