package cluster

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// NewBuiltIn makes an empty object of a kind that Kubernetes itself defines,
// as of the client-go that is linked in. Of another kind the error satisfies
// runtime.IsNotRegisteredError.
func NewBuiltIn(kind schema.GroupVersionKind) (runtime.Object, error) {
	return scheme.Scheme.New(kind)
}
