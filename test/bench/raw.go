package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/test/fixtures/populate"
)

// pageSize is what a backup asks for.
const pageSize = cluster.DefaultPageSize

// rawList lists every resource that a backup lists, in pages of the same size,
// over one new HTTP/2 connection without compression as a backup does, and
// throws the objects away. It is what no backup can be faster than, but for the
// start of a process, discovery and the bytes it writes.
func rawList(ctx context.Context, kubeconfig []byte, coverage []manifest.Resource, parallel int) (Measurement, error) {
	started, used := time.Now(), ownCPU()
	api, err := dial(kubeconfig)
	if err != nil {
		return Measurement{}, err
	}
	defer api.client.CloseIdleConnections()
	var total atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, r := range coverage {
		if r.Excluded != "" {
			continue
		}
		g.Go(func() error {
			n, err := api.list(ctx, r)
			total.Add(n)
			if err != nil {
				return fmt.Errorf("list %s: %w", r.Name, err)
			}
			return nil
		})
	}
	err = g.Wait()
	return Measurement{Seconds: time.Since(started).Seconds(), CPUSeconds: (ownCPU() - used).Seconds(), Bytes: total.Load()}, err
}

// apiServer is a plain HTTP client of an API server.
type apiServer struct {
	url    string
	client *http.Client
}

// dial makes a client of a kubeconfig with one cluster and one user with a
// certificate, as a sandbox writes it.
func dial(kubeconfig []byte) (apiServer, error) {
	var k struct {
		Clusters []struct {
			Cluster struct {
				Server string `json:"server"`
				CA     []byte `json:"certificate-authority-data"`
			} `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User struct {
				Certificate []byte `json:"client-certificate-data"`
				Key         []byte `json:"client-key-data"`
			} `json:"user"`
		} `json:"users"`
	}
	if err := yaml.Unmarshal(kubeconfig, &k); err != nil {
		return apiServer{}, err
	}
	if len(k.Clusters) != 1 || len(k.Users) != 1 {
		return apiServer{}, errors.New("the kubeconfig does not hold one cluster and one user")
	}
	certificate, err := tls.X509KeyPair(k.Users[0].User.Certificate, k.Users[0].User.Key)
	if err != nil {
		return apiServer{}, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(k.Clusters[0].Cluster.CA)
	transport := &http.Transport{
		ForceAttemptHTTP2: true, DisableCompression: true,
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}},
	}
	return apiServer{url: k.Clusters[0].Cluster.Server, client: &http.Client{Transport: transport}}, nil
}

// list reads all pages of a resource and returns their size in bytes.
func (a apiServer) list(ctx context.Context, r manifest.Resource) (total int64, err error) {
	group, resource := item.SplitGroupResource(r.Name)
	p := path.Join("/api", r.Version, resource)
	if group != "" {
		p = path.Join("/apis", group, r.Version, resource)
	}
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	for {
		n, token, err := a.page(ctx, p+"?"+query.Encode())
		total += n
		if err != nil || token == "" {
			return total, err
		}
		query.Set("continue", token)
	}
}

// The metadata of a list comes before its items, an array; the token is base64.
var continueToken = regexp.MustCompile(`^[^\[]{0,200}"metadata":\{[^{}]*"continue":"([A-Za-z0-9_=-]+)"`)

func (a apiServer) page(ctx context.Context, path string) (size int64, token string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+path, nil)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := a.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, "", fmt.Errorf("the API server answered %s", resp.Status)
	}
	start := make([]byte, 2<<10)
	n, err := io.ReadFull(resp.Body, start)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, "", err
	}
	if m := continueToken.FindSubmatch(start[:n]); m != nil {
		token = string(m[1])
	}
	rest, err := io.Copy(io.Discard, resp.Body)
	return int64(n) + rest, token, err
}

// rawCreate posts the bulk, made beforehand, with the client and the number of
// workers of a restore: what no restore of these objects can be faster than,
// but for the start of a process and reading the backup.
func rawCreate(ctx context.Context, kubeconfig []byte, objects int) (Measurement, error) {
	bulk := populate.Bulk(objects)
	first := 0
	for first < len(bulk) && bulk[first].Key.Resource == "namespaces" {
		first++
	}
	started, used := time.Now(), ownCPU()
	client, err := cluster.FromKubeconfig(kubeconfig, "lifeboat-bench")
	if err != nil {
		return Measurement{}, err
	}
	for _, items := range [][]item.Item{bulk[:first], bulk[first:]} {
		if err := createAll(ctx, client, items); err != nil {
			return Measurement{}, err
		}
	}
	return Measurement{Seconds: time.Since(started).Seconds(), CPUSeconds: (ownCPU() - used).Seconds(), Objects: len(bulk)}, nil
}

func createAll(ctx context.Context, client *cluster.Client, items []item.Item) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(populate.Workers)
	for _, it := range items {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			r := item.Resource{Group: it.Key.Group, Version: it.Version, Name: it.Key.Resource, Kind: it.Kind}
			if _, err := client.Create(ctx, r, it.Key.Namespace, it.Raw); err != nil {
				return fmt.Errorf("create %s: %w", it.Key, err)
			}
			return nil
		})
	}
	return g.Wait()
}
