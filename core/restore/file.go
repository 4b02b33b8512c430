package restore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// What a plan file says that it is.
const (
	fileAPIVersion = "lifeboat.dev/v1alpha1"
	fileKind       = "Plan"
)

// maxFile bounds a plan file: a step takes less than 1 KiB, and a cluster of
// 300,000 objects is a large one.
const maxFile = 512 << 20

// File is a plan as people and machines review it: all that a later restore
// needs to make the same plan again and to see whether it is still the same.
type File struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Cluster is the UID of the target's namespace kube-system, which distinguishes
	// clusters apart.
	Cluster string       `json:"cluster"`
	Options plan.Options `json:"options"`
	plan.Plan
	// Warnings are for people; they are not compared.
	Warnings []string `json:"warnings,omitempty"`
}

// File is the plan for a file.
func (p Prepared) File() File {
	return File{APIVersion: fileAPIVersion, Kind: fileKind, Cluster: p.Cluster, Options: p.Options, Plan: p.Plan, Warnings: p.Warnings}
}

// ReadFile reads a plan file, JSON or YAML, as lifeboat plan writes it. It is at
// most 512 MiB; a field that a plan does not have is an error.
func ReadFile(r io.Reader) (File, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return File{}, fmt.Errorf("read the plan: %w", err)
	}
	if len(b) > maxFile {
		return File{}, fmt.Errorf("the plan is larger than %d MiB", maxFile>>20)
	}
	var f File
	if err := yaml.UnmarshalStrict(b, &f); err != nil {
		return File{}, fmt.Errorf("not a plan (lifeboat plan --output json writes one): %w", err)
	}
	if f.APIVersion != fileAPIVersion || f.Kind != fileKind {
		return File{}, fmt.Errorf("not a plan: apiVersion %q, kind %q (lifeboat plan --output json writes one, %s %s)", f.APIVersion, f.Kind, fileAPIVersion, fileKind)
	}
	return f, nil
}

// ErrDrift says that a reviewed plan is not the one that would be made now.
var ErrDrift = errors.New("the plan no longer applies")

// maxDrift is how many differences an error lists.
const maxDrift = 10

// Check compares a reviewed plan with what has just been prepared.
func (f File) Check(p Prepared) error {
	drift := plan.Drift(f.Plan, p.Plan)
	if f.Cluster != p.Cluster {
		drift = append([]string{"it was made for another cluster"}, drift...)
	}
	if len(drift) == 0 {
		return nil
	}
	more := ""
	if n := len(drift) - maxDrift; n > 0 {
		drift, more = drift[:maxDrift], fmt.Sprintf("; and %d more", n)
	}
	return fmt.Errorf("%w, and nothing has been restored (make a new plan and review it): %s%s", ErrDrift, strings.Join(drift, "; "), more)
}

// clusterID is what distinguishes clusters, "" when it may not be read.
func clusterID(ctx context.Context, c Cluster) (string, error) {
	it, err := c.Get(ctx, item.Resource{Version: "v1", Name: "namespaces", Kind: "Namespace"}, "", "kube-system")
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var o struct{ Metadata struct{ UID string } }
	err = json.Unmarshal(it.Raw, &o)
	return o.Metadata.UID, err
}
