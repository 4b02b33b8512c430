package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/lifeboat-backup/lifeboat/core/item"
)

// newItem makes an item of one element of a list. The API server leaves
// apiVersion and kind out of the elements of built-in kinds; a backup needs
// them.
func newItem(r item.Resource, raw jsontext.Value) (item.Item, error) {
	head, err := readHead(raw)
	if err != nil {
		return item.Item{}, fmt.Errorf("%w: an object of %s: %w", ErrMalformed, r.GroupResource(), err)
	}
	if head.name == "" {
		return item.Item{}, fmt.Errorf("%w: an object of %s has no name", ErrMalformed, r.GroupResource())
	}
	it := item.Item{
		Key:     item.Key{Group: r.Group, Resource: r.Name, Namespace: head.namespace, Name: head.name},
		Version: r.Version, Kind: r.Kind,
	}
	if head.typed {
		it.Raw = bytes.Clone(raw)
		return it, nil
	}
	it.Raw = make([]byte, 0, len(raw)+len(r.Kind)+len(r.APIVersion())+32)
	it.Raw = append(it.Raw, `{"apiVersion":"`...)
	it.Raw = append(it.Raw, r.APIVersion()...)
	it.Raw = append(it.Raw, `","kind":"`...)
	it.Raw = append(it.Raw, r.Kind...)
	it.Raw = append(it.Raw, `",`...)
	it.Raw = append(it.Raw, raw[1:]...)
	return it, nil
}

type head struct {
	name, namespace string
	typed           bool // carries apiVersion and kind
}

// readHead reads the top of an object and its metadata and skips the rest.
func readHead(raw []byte) (head, error) {
	var h head
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	err := members(dec, func(name string) error {
		switch name {
		case "kind":
			h.typed = true
		case "metadata":
			return members(dec, func(name string) error {
				var err error
				switch name {
				case "name":
					h.name, err = readString(dec)
				case "namespace":
					h.namespace, err = readString(dec)
				default:
					err = dec.SkipValue()
				}
				return err
			})
		}
		return dec.SkipValue()
	})
	return h, err
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
	return newItem(r, raw)
}

// Create posts an object (JSON) and returns the API server's copy of it.
func (c *Client) Create(ctx context.Context, r item.Resource, namespace string, object []byte) ([]byte, error) {
	return answer(c.rest.Post().AbsPath(path(r, namespace)...).
		Param("fieldManager", FieldManager).
		SetHeader("Content-Type", "application/json").
		Body(object).Do(ctx))
}

// answer is the body of a successful response, or the API server's own error:
// Result.Raw alone would replace its words by generic ones.
func answer(r rest.Result) ([]byte, error) {
	if err := r.Error(); err != nil {
		return nil, err
	}
	return r.Raw()
}

// FieldManager is the name under which the API server records our writes.
const FieldManager = "lifeboat"

// MergePatch applies a JSON merge patch.
func (c *Client) MergePatch(ctx context.Context, r item.Resource, namespace, name string, patch []byte) error {
	return c.rest.Patch(types.MergePatchType).AbsPath(append(path(r, namespace), name)...).
		Param("fieldManager", FieldManager).
		Body(patch).Do(ctx).Error()
}

// Delete removes an object.
func (c *Client) Delete(ctx context.Context, r item.Resource, namespace, name string) error {
	return c.rest.Delete().AbsPath(append(path(r, namespace), name)...).Do(ctx).Error()
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
