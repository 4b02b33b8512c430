package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

// dialError means that the way to the pod could not be opened: nothing was
// asked.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// http sends the request to a ready pod of the Service, over a forwarded port.
// The API server's own proxy for Services cannot be used: it removes the header
// Authorization, changes the host, and answers 503 itself, so that the sender of an
// answer is unknown.
func (r *runner) http(ctx context.Context, h policy.HTTP, q *question) (answer, error) {
	req, err := r.request(ctx, h)
	if err != nil {
		return answer{}, err
	}
	pod, port, err := r.endpoint(ctx, h)
	if err != nil {
		return answer{}, err
	}
	q.object = "services " + h.Namespace + "/" + h.Service
	var put atomic.Bool // the transport may still dial when the request was given up
	client := http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				conn, err := r.cluster.Dial(ctx, h.Namespace, pod, port)
				if err != nil {
					return nil, &dialError{err}
				}
				put.Store(true)
				return conn, nil
			},
			DisableKeepAlives: true, DisableCompression: true,
			// The certificate is that of the source cluster's name for the Service,
			// or of an issuer that only it knows.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the connection does not leave the sandbox
		},
		// A redirect is an answer; where it leads to may be outside.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	a, err := r.send(&client, req, fmt.Sprintf("port %d of pod %s/%s", port, h.Namespace, pod))
	q.put = q.put || put.Load()
	return a, err
}

// request makes the request. Its host is the Service's name in the cluster, or
// the header Host.
func (r *runner) request(ctx context.Context, h policy.HTTP) (*http.Request, error) {
	url := fmt.Sprintf("%s://%s.%s.svc%s", h.Scheme, h.Service, h.Namespace, h.Path)
	req, err := http.NewRequestWithContext(ctx, h.Method, url, strings.NewReader(h.Body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "lifeboat-verifier")
	for name, v := range h.Headers {
		value, err := r.value(ctx, h.Namespace, v)
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", name, err)
		}
		if strings.EqualFold(name, "Host") {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	return req, nil
}

func (r *runner) send(client *http.Client, req *http.Request, to string) (answer, error) {
	began := r.Now()
	resp, err := client.Do(req)
	if err != nil {
		return unanswered(err, to)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return unanswered(err, to)
	}
	a := answer{status: resp.StatusCode, took: r.Now().Sub(began)}
	if len(body) > maxAnswer {
		body, a.cut = body[:maxAnswer], true
	}
	a.output = string(body)
	return a, nil
}

// unanswered separates an application that does not answer from a request that did
// not reach it.
func unanswered(err error, to string) (answer, error) {
	var dial *dialError
	var forward *cluster.ForwardError
	switch {
	case over(err), errors.As(err, &dial):
		return answer{}, err
	case errors.As(err, &forward) && strings.Contains(forward.Message, "connection refused"):
		return answer{silence: "nothing listens on " + to}, nil
	case errors.As(err, &forward):
		return answer{}, fmt.Errorf("%s cannot be reached: %s", to, excerpt(forward.Message))
	}
	return answer{silence: fmt.Sprintf("%s does not answer in HTTP: %s", to, excerpt(err.Error()))}, nil
}

// endpoint finds a ready pod behind a Service, and the port of the pod that the
// Service's port leads to.
func (r *runner) endpoint(ctx context.Context, h policy.HTTP) (pod string, port int, err error) {
	it, err := r.cluster.Get(ctx, resource("", "v1", "services", "Service"), h.Namespace, h.Service)
	if err != nil {
		return "", 0, fmt.Errorf("service %s/%s: %w", h.Namespace, h.Service, said(err))
	}
	service, err := decode[corev1.Service](it)
	if err != nil {
		return "", 0, err
	}
	name, err := portName(service, h.Port)
	if err != nil {
		return "", 0, err
	}
	slices, err := list[discoveryv1.EndpointSlice](ctx, r.cluster, resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"), h.Namespace, discoveryv1.LabelServiceName+"="+h.Service)
	if err != nil {
		return "", 0, fmt.Errorf("the endpoints of service %s/%s: %w", h.Namespace, h.Service, err)
	}
	pod, port = readyPod(slices, name)
	if pod == "" {
		return "", 0, fmt.Errorf("service %s/%s has no ready pod behind port %s", h.Namespace, h.Service, h.Port.String())
	}
	return pod, port, nil
}

// portName is the name of a Service's port, which its endpoints have too.
func portName(s corev1.Service, wanted intstr.IntOrString) (string, error) {
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		return "", fmt.Errorf("service %s/%s leads out of the cluster, to %s: drills do not connect there", s.Namespace, s.Name, s.Spec.ExternalName)
	}
	var there []string
	for _, p := range s.Spec.Ports {
		tcp := cmp.Or(p.Protocol, corev1.ProtocolTCP) == corev1.ProtocolTCP
		if tcp && (wanted.Type == intstr.Int && p.Port == wanted.IntVal || wanted.Type == intstr.String && p.Name == wanted.StrVal) {
			return p.Name, nil
		}
		there = append(there, strings.TrimSpace(fmt.Sprintf("%d/%s %s", p.Port, cmp.Or(p.Protocol, corev1.ProtocolTCP), p.Name)))
	}
	return "", fmt.Errorf("service %s/%s has no TCP port %s; its TCP ports: %s", s.Namespace, s.Name, wanted.String(), strings.Join(there, ", "))
}

// readyPod is the first ready pod by name that serves the named port.
func readyPod(all []discoveryv1.EndpointSlice, portName string) (pod string, port int) {
	for _, s := range all {
		i := slices.IndexFunc(s.Ports, func(p discoveryv1.EndpointPort) bool {
			return p.Port != nil && (p.Name == nil && portName == "" || p.Name != nil && *p.Name == portName)
		})
		if i < 0 {
			continue
		}
		for _, e := range s.Endpoints {
			isReady := e.Conditions.Ready == nil || *e.Conditions.Ready
			if isReady && e.TargetRef != nil && e.TargetRef.Kind == "Pod" && (pod == "" || e.TargetRef.Name < pod) {
				pod, port = e.TargetRef.Name, int(*s.Ports[i].Port)
			}
		}
	}
	return pod, port
}
