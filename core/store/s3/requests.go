package s3

import (
	"maps"
	"net/http"
	"sync"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
)

// Requests returns how many requests were sent so far, repeats included, by S3's
// name of the operation: ListObjectsV2, GetObject and so on.
func (s *Store) Requests() map[string]uint64 { return s.sent.counts() }

// sent counts requests on their way to the server.
type sent struct {
	client awss3.HTTPClient
	mu     sync.Mutex
	n      map[string]uint64
}

// Do implements awss3.HTTPClient.
func (s *sent) Do(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.n[awsmiddleware.GetOperationName(r.Context())]++
	s.mu.Unlock()
	return s.client.Do(r)
}

func (s *sent) counts() map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.n)
}
