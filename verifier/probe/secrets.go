package probe

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

// maxSecret bounds a value that is read from a file, in bytes.
const maxSecret = 64 << 10

// resource names a built-in kind that the probe reads.
func resource(group, version, name, kind string) item.Resource {
	return item.Resource{Group: group, Version: version, Name: name, Kind: kind, Namespaced: true}
}

// secrets are the values that must not be seen.
type secrets struct {
	// hidden are the values in each of the forms in which they may come back,
	// the longest first.
	hidden []string
}

func (s *secrets) add(value string) {
	if value == "" {
		return
	}
	quoted, _ := json.Marshal(value) // a string always can be
	for _, form := range []string{
		value, strings.Trim(string(quoted), `"`), url.QueryEscape(value), url.PathEscape(value),
		base64.StdEncoding.EncodeToString([]byte(value)), base64.RawStdEncoding.EncodeToString([]byte(value)),
		base64.URLEncoding.EncodeToString([]byte(value)), base64.RawURLEncoding.EncodeToString([]byte(value)),
	} {
		if !slices.Contains(s.hidden, form) {
			s.hidden = append(s.hidden, form)
		}
	}
	slices.SortStableFunc(s.hidden, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
}

// Hide makes a function that replaces values of Secrets in a text, in each of the forms
// in which they may come back. Values shorter than minHidden are words of any text.
func Hide(values []string) func(text string) string {
	var s secrets
	for _, v := range values {
		if len(v) >= minHidden {
			s.add(v)
		}
	}
	return s.hide
}

const minHidden = 4

// hide replaces every value that is known.
func (s *secrets) hide(text string) string {
	for _, h := range s.hidden {
		text = strings.ReplaceAll(text, h, "***")
	}
	return text
}

// learn reads every value that the checks refer to before the first is asked,
// so that the answer to one does not show what another refers to. What cannot be
// read yet is read when it is used.
func (r *runner) learn(ctx context.Context, checks []policy.Check) {
	for _, c := range checks {
		switch {
		case c.SQL != nil:
			_, _ = r.value(ctx, c.SQL.Namespace, c.SQL.User)
			_, _ = r.value(ctx, c.SQL.Namespace, c.SQL.Password)
		case c.HTTP != nil:
			for _, v := range c.HTTP.Headers {
				_, _ = r.value(ctx, c.HTTP.Namespace, v)
			}
		}
	}
}

// value returns the text of a value, "" if it is not set. A referenced value is
// hidden in output from then on.
func (r *runner) value(ctx context.Context, namespace string, v policy.Value) (string, error) {
	text, err := v.Value, error(nil)
	switch {
	case v.SecretKeyRef != nil:
		text, err = r.secret(ctx, namespace, *v.SecretKeyRef)
	case v.Env != "":
		var set bool
		if text, set = os.LookupEnv(v.Env); !set || text == "" {
			err = fmt.Errorf("the environment variable %s is not set", v.Env)
		}
	case v.File != "":
		text, err = readValue(v.File)
	default:
		return text, nil
	}
	if err != nil {
		return "", err
	}
	r.secrets.add(text)
	if strings.ContainsAny(text, "\r\n\x00") {
		return "", errors.New("the value that is referred to has more than one line")
	}
	return text, nil
}

func (r *runner) secret(ctx context.Context, namespace string, ref policy.SecretKeyRef) (string, error) {
	it, err := r.cluster.Get(ctx, resource("", "v1", "secrets", "Secret"), namespace, ref.Name)
	if err != nil {
		return "", fmt.Errorf("secret %s/%s: %w", namespace, ref.Name, said(err))
	}
	var s corev1.Secret
	if err := json.Unmarshal(it.Raw, &s); err != nil {
		return "", fmt.Errorf("%s: %w", it.Key, err)
	}
	value, ok := s.Data[ref.Key]
	if !ok {
		return "", fmt.Errorf("secret %s/%s has no key %s", namespace, ref.Name, ref.Key)
	}
	return strings.TrimRight(string(value), "\r\n"), nil
}

func readValue(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	if len(b) > maxSecret {
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxSecret)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// said returns the message with which the API server rejected a request; it
// returns other errors unchanged.
func said(err error) error {
	if cluster.Unreachable(err) || over(err) {
		return err
	}
	return errors.New(cluster.Reason(err))
}
