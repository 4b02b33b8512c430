package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// EstablishTimeout bounds the wait for one custom resource definition.
// Velero's resource-timeout is 10 minutes; an API server that needs more than
// one has refused the definition.
const EstablishTimeout = time.Minute

// establishPoll is how long to wait between two looks.
const establishPoll = 100 * time.Millisecond

// Established waits until a custom resource definition is established, its
// names are accepted and its objects can be asked for. The caller looks at its
// own ctx before it believes the error.
func (a *Applier) Established(ctx context.Context, definition item.Key) error {
	ctx, cancel := context.WithTimeout(ctx, EstablishTimeout)
	defer cancel()
	r := item.Resource{Group: definition.Group, Version: "v1", Name: definition.Resource, Kind: "CustomResourceDefinition"}
	var last error
	for {
		it, err := a.Cluster.Get(ctx, r, "", definition.Name)
		if err == nil {
			err = a.served(ctx, it)
		}
		switch {
		case ctx.Err() != nil && last != nil:
			return fmt.Errorf("%s is not established after %s: %w", definition, EstablishTimeout, last)
		case err == nil || cluster.Unreachable(err):
			return err
		}
		last = err
		cluster.Sleep(ctx, establishPoll)
	}
}

// served says what a definition still lacks, nil when nothing.
func (a *Applier) served(ctx context.Context, definition item.Item) error {
	u, err := definition.Object()
	if err != nil {
		return err
	}
	for _, want := range []string{"NamesAccepted", "Established"} {
		if status, message := condition(u, want); status != "True" {
			return fmt.Errorf("condition %s is not met: %s", want, message)
		}
	}
	group, _, _ := unstructured.NestedString(u.Object, "spec", "group")
	plural, _, _ := unstructured.NestedString(u.Object, "spec", "names", "plural")
	versions, _, _ := unstructured.NestedSlice(u.Object, "spec", "versions")
	namespace := ""
	if scope, _, _ := unstructured.NestedString(u.Object, "spec", "scope"); scope == "Namespaced" {
		namespace = "default"
	}
	for _, v := range versions {
		m, ok := v.(map[string]any)
		if !ok || m["served"] != true {
			continue
		}
		version, _ := m["name"].(string)
		// Asking for an object that cannot exist distinguishes a served resource (the
		// answer names the object) from one that is not (it names nothing).
		_, err := a.Cluster.Get(ctx, item.Resource{Group: group, Version: version, Name: plural}, namespace, probe)
		switch {
		case apierrors.IsNotFound(err) && !namesProbe(err):
			return fmt.Errorf("%s/%s is not served yet", group, version)
		case cluster.Unreachable(err):
			return err
		}
	}
	return nil
}

// probe is a name that no object has.
const probe = "lifeboat-is-it-served"

func namesProbe(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Details != nil && status.Status().Details.Name == probe
}

func condition(u *unstructured.Unstructured, kind string) (status, message string) {
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == kind {
			status, _ = m["status"].(string)
			message, _ = m["message"].(string)
			return status, message
		}
	}
	return "", "the API server has not said so"
}
