package cluster

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// newItem makes an item of one element of a list. The API server leaves
// apiVersion and kind out of the elements of built-in kinds; a backup needs
// them. raw is valid JSON in which no name appears twice.
func newItem(r item.Resource, raw jsontext.Value) (item.Item, error) {
	raw = bytes.TrimSpace(raw) // a single object comes with a newline
	head, err := readHead(raw)
	if err != nil {
		return item.Item{}, fmt.Errorf("%w: an object of %s: %w", ErrMalformed, r.GroupResource(), err)
	}
	switch {
	case head.name == "":
		return item.Item{}, fmt.Errorf("%w: an object of %s has no name", ErrMalformed, r.GroupResource())
	case head.hasKind != (head.kind != ""), head.hasAPIVersion != (head.apiVersion != ""):
		return item.Item{}, fmt.Errorf("%w: kind or apiVersion of %s %s is not a name", ErrMalformed, r.GroupResource(), head.name)
	}
	it := item.Item{
		Key:     item.Key{Group: r.Group, Resource: r.Name, Namespace: head.namespace, Name: head.name},
		Version: r.Version, Kind: cmp.Or(head.kind, r.Kind),
	}
	if head.apiVersion != "" {
		gv, err := schema.ParseGroupVersion(head.apiVersion)
		if err != nil || gv.Group != r.Group {
			return item.Item{}, fmt.Errorf("%w: %s has apiVersion %q", ErrMalformed, it.Key, head.apiVersion)
		}
		it.Version = gv.Version
	}
	it.Raw = complete(raw, head, r)
	return it, nil
}

// complete is a copy of the object with apiVersion and kind.
func complete(raw jsontext.Value, h head, r item.Resource) []byte {
	out := make([]byte, 0, len(raw)+len(r.Kind)+len(r.APIVersion())+32)
	out = append(out, '{')
	if h.apiVersion == "" {
		out = append(out, `"apiVersion":"`...)
		out = append(out, r.APIVersion()...)
		out = append(out, `",`...)
	}
	if h.kind == "" {
		out = append(out, `"kind":"`...)
		out = append(out, r.Kind...)
		out = append(out, `",`...)
	}
	return append(out, raw[1:]...)
}

// head is what identifies objects.
type head struct {
	apiVersion, kind, name, namespace string
	hasAPIVersion, hasKind            bool
}

// readHead reads the top of an object and its metadata and skips the rest. It
// does not look for names that stand twice, as whoever read raw has done.
func readHead(raw []byte) (head, error) {
	var h head
	// Out of a *bytes.Buffer a Decoder reads in place.
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true))
	read := func(into *string) (err error) {
		*into, err = readString(dec)
		return err
	}
	err := members(dec, func(name string) error {
		switch name {
		case "apiVersion":
			h.hasAPIVersion = true
			return read(&h.apiVersion)
		case "kind":
			h.hasKind = true
			return read(&h.kind)
		case "metadata":
			return members(dec, func(name string) error {
				switch name {
				case "name":
					return read(&h.name)
				case "namespace":
					return read(&h.namespace)
				}
				return skip(dec)
			})
		}
		return skip(dec)
	})
	return h, err
}

// skip passes over a value that is in memory already: at once, where the
// decoder's SkipValue goes from token to token.
func skip(dec *jsontext.Decoder) error {
	_, err := dec.ReadValue()
	return err
}

// members calls read for each member of the object that comes next; read
// consumes the member's value.
func members(dec *jsontext.Decoder, read func(name string) error) error {
	open, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if open.Kind() != '{' {
		return fmt.Errorf("%w: %s where an object should be", ErrMalformed, open)
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		if err := read(name.String()); err != nil {
			return err
		}
	}
	_, err = dec.ReadToken()
	return err
}

// readString reads a string; anything else, null for instance, is as good as
// an empty one.
func readString(dec *jsontext.Decoder) (string, error) {
	if dec.PeekKind() != '"' {
		return "", dec.SkipValue()
	}
	tok, err := dec.ReadToken()
	if err != nil {
		return "", err
	}
	return tok.String(), nil
}

// Get reads one object; the error is the API server's (apierrors.IsNotFound).
func (c *Client) Get(ctx context.Context, r item.Resource, namespace, name string) (item.Item, error) {
	raw, err := answer(c.rest.Get().AbsPath(append(path(r, namespace), name)...).Do(ctx))
	if err != nil {
		return item.Item{}, err
	}
	if !jsontext.Value(raw).IsValid() {
		return item.Item{}, fmt.Errorf("%w: %s %s is not valid JSON", ErrMalformed, r.GroupResource(), name)
	}
	return newItem(r, raw)
}

// Param is a query parameter of a write.
type Param struct{ Name, Value string }

// DryRun asks the API server to do everything but keep the result.
func DryRun() Param { return Param{"dryRun", "All"} }

// StrictFields asks the API server to refuse fields it does not know instead of
// dropping them.
func StrictFields() Param { return Param{"fieldValidation", "Strict"} }

func with(r *rest.Request, params []Param) *rest.Request {
	r.Param("fieldManager", FieldManager)
	for _, p := range params {
		r.Param(p.Name, p.Value)
	}
	return r
}

// Create posts an object (JSON) and returns the API server's copy of it.
func (c *Client) Create(ctx context.Context, r item.Resource, namespace string, object []byte, params ...Param) ([]byte, error) {
	return answer(with(c.rest.Post().AbsPath(path(r, namespace)...), params).
		SetHeader("Content-Type", "application/json").
		Body(object).Do(ctx))
}

// answer is the body of a successful response, or the API server's own error:
// Result.Raw alone would replace its words by generic ones.
func answer(r rest.Result) ([]byte, error) {
	if err := r.Error(); err != nil {
		return nil, asked(err)
	}
	return r.Raw()
}

// FieldManager is the name under which the API server records our writes.
const FieldManager = "lifeboat"

// MergePatch applies a JSON merge patch.
func (c *Client) MergePatch(ctx context.Context, r item.Resource, namespace, name string, patch []byte, params ...Param) error {
	return asked(with(c.rest.Patch(types.MergePatchType).AbsPath(append(path(r, namespace), name)...), params).
		Body(patch).Do(ctx).Error())
}

// Delete removes an object.
func (c *Client) Delete(ctx context.Context, r item.Resource, namespace, name string, o metav1.DeleteOptions) error {
	o.TypeMeta = metav1.TypeMeta{Kind: "DeleteOptions", APIVersion: "v1"}
	body, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode the options of a deletion: %w", err)
	}
	return asked(c.rest.Delete().AbsPath(append(path(r, namespace), name)...).
		SetHeader("Content-Type", "application/json").
		Body(body).Do(ctx).Error())
}

// Reason is the API server's own words for a refusal, without client-go's
// wrapping.
func Reason(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Message != "" {
		return status.Status().Message
	}
	return err.Error()
}
