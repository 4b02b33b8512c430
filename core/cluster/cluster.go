// Package cluster is the client-go side of Lifeboat: discovery, paged lists,
// reads and writes of objects as the JSON the API server speaks. Paging and
// transport settings live here and nowhere else; what is selected, in which
// order, and what a result means is decided by the callers.
//
// Objects are never decoded into Go types on the way: a list is cut into items
// while it arrives, so memory does not grow with the size of a page.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Options says which cluster to open. The zero value means what kubectl would
// use: $KUBECONFIG, ~/.kube/config, or the service account of the pod.
type Options struct {
	Kubeconfig string // path; "" = the default rules
	Context    string // "" = the current context
	UserAgent  string
}

// Client talks to one cluster. It is safe for concurrent use and sets no rate
// limit of its own: the API server's priority and fairness decides, and its
// Retry-After is obeyed.
type Client struct {
	config *rest.Config
	rest   *rest.RESTClient
}

// Open makes a client for the cluster that kubectl would talk to. It does not
// connect yet.
func Open(o Options) (*Client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: o.Context}
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("no usable kubeconfig (use --kubeconfig, --context or KUBECONFIG): %w", err)
	}
	return New(cfg, o.UserAgent)
}

// FromKubeconfig makes a client from the text of a kubeconfig, as a sandbox
// hands it over.
func FromKubeconfig(kubeconfig []byte, userAgent string) (*Client, error) {
	cfg, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	return New(cfg, userAgent)
}

// New makes a client from a configuration, such as that of a controller manager.
// It works on a copy: rate limits, codecs and warnings are this package's own.
func New(cfg *rest.Config, userAgent string) (*Client, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1
	cfg.UserAgent = userAgent
	cfg.WarningHandler = rest.NoWarnings{}
	// Compressing lists costs the API server more CPU than the network saves
	// between a backup and its cluster.
	cfg.DisableCompression = true
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper { return impatient{rt} })
	cfg.GroupVersion = &schema.GroupVersion{}
	cfg.APIPath = "/"
	cfg.NegotiatedSerializer = statusCodecs()
	client, err := rest.UnversionedRESTClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", cfg.Host, err)
	}
	return &Client{config: cfg, rest: client}, nil
}

// statusCodecs decodes the Status objects of errors and nothing else.
func statusCodecs() runtime.NegotiatedSerializer {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	return serializer.NewCodecFactory(scheme).WithoutConversion()
}

// Host is the API server's address, for messages.
func (c *Client) Host() string {
	u, err := url.Parse(c.config.Host)
	if err != nil || u.User == nil {
		return c.config.Host
	}
	u.User = nil // a kubeconfig may hold credentials in it
	return u.String()
}

// UnreachableError says that the API server could not be asked at all, rather
// than that it answered no: nothing further will succeed. A caller whose own
// context may be over asks that first, because a time limit and a connection
// that timed out look alike.
type UnreachableError struct{ Err error }

func (e *UnreachableError) Error() string { return e.Err.Error() }
func (e *UnreachableError) Unwrap() error { return e.Err }

// Unreachable reports whether err is or wraps an *UnreachableError.
func Unreachable(err error) bool {
	var u *UnreachableError
	return errors.As(err, &u)
}

// asked marks the error of a request that got no answer.
func asked(err error) error {
	var status apierrors.APIStatus
	if err == nil || errors.Is(err, context.Canceled) || errors.As(err, &status) || errors.Is(err, ErrMalformed) || Unreachable(err) {
		return err
	}
	return &UnreachableError{err}
}

// Explain makes one sentence of an error from the API server: what it refused
// and what to do next.
func (c *Client) Explain(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server at %s does not accept the credentials (check --kubeconfig and --context): %w", c.Host(), err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("the API server at %s refuses this (grant the verb to the user of the kubeconfig): %w", c.Host(), err)
	case apierrors.IsTooManyRequests(err):
		return fmt.Errorf("the API server at %s is overloaded and kept answering 429 (try again later): %w", c.Host(), err)
	case Unreachable(err):
		return fmt.Errorf("cannot reach the API server at %s (is it running, and is this the right --context?): %w", c.Host(), err)
	}
	return err
}
