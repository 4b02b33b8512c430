package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/catalog"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/api"
	velerov1 "github.com/lifeboat-backup/lifeboat/core/api/velero/v1"
	"github.com/lifeboat-backup/lifeboat/core/manifest"
	"github.com/lifeboat-backup/lifeboat/core/store"
)

// description is what describe prints.
type description struct {
	Backup   velerov1.Backup     `json:"backup"`
	Location string              `json:"location"`
	Files    []file              `json:"files"`
	Coverage []manifest.Resource `json:"coverage,omitempty"`
	Items    []string            `json:"items,omitempty"`
}

type file struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"`
}

func newBackupDescribe() *cobra.Command {
	var (
		loc     cli.Location
		out     cli.Format
		details bool
	)
	c := &cobra.Command{
		Use: "describe NAME --location URL", Short: "Show what a backup contains", Args: cli.OneBackup,
		Long: "Show the status and files of a backup and, if Lifeboat made it, what the cluster contained,\nwhat was backed up, and what was left out by which rule.\n" + cli.ExitHelp,
	}
	loc.Add(c)
	cli.AddOutput(c, &out)
	c.Flags().BoolVar(&details, "details", false, "list every item, and resources that were left out")
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := loc.Open(c.Context(), false)
		if err != nil {
			return err
		}
		d, err := describe(c.Context(), s, args[0], details)
		if err != nil {
			return err
		}
		return cli.Print(c.OutOrStdout(), out, d, func(w io.Writer) error { return d.print(w, details) })
	}
	return c
}

func describe(ctx context.Context, s store.Store, name string, details bool) (description, error) {
	b, err := catalog.Read(ctx, s, name)
	if err != nil {
		return description{}, err
	}
	d := description{Backup: b, Location: s.String()}
	m, err := catalog.ReadManifest(ctx, s, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return description{}, err
	}
	for info, err := range s.List(ctx, store.BackupPrefix(name), true) {
		if err != nil {
			return description{}, fmt.Errorf("list the files of backup %s: %w", name, err)
		}
		f := strings.TrimPrefix(info.Key, store.BackupPrefix(name))
		d.Files = append(d.Files, file{Name: f, Size: info.Size, SHA256: m.Files[f].SHA256})
	}
	d.Coverage = m.Resources
	if !details {
		return d, nil
	}
	if d.Items, err = catalog.Items(ctx, s, name, m); err != nil {
		return description{}, err
	}
	return d, nil
}

func (d description) print(w io.Writer, details bool) error {
	t := cli.NewColumns(w)
	b, st := d.Backup, d.Backup.Status
	line := func(label string, value any) { t.Row(label+":", value) }
	line("Name", b.Name)
	line("Location", d.Location)
	line("Phase", st.Phase)
	if how := b.Annotations[api.AnnotationEncryption]; how != "" {
		line("Encrypted", how)
	}
	if st.FailureReason != "" {
		line("Failure reason", st.FailureReason)
	}
	line("Errors", st.Errors)
	line("Warnings", st.Warnings)
	line("Labels", pairs(b.Labels))
	line("Kubernetes", orNone(b.Annotations["velero.io/source-cluster-k8s-gitversion"]))
	line("Namespaces included", orAll(b.Spec.IncludedNamespaces))
	line("Namespaces excluded", orNone(strings.Join(b.Spec.ExcludedNamespaces, ", ")))
	for _, l := range selection(b.Spec) {
		line(l[0], l[1])
	}
	line("TTL", b.Spec.TTL.Duration)
	line("Backup format version", st.FormatVersion)
	for _, m := range []struct {
		label string
		at    interface{ IsZero() bool }
	}{{"Started", st.StartTimestamp}, {"Completed", st.CompletionTimestamp}, {"Expiration", st.Expiration}} {
		if !m.at.IsZero() {
			line(m.label, m.at)
		}
	}
	if st.Progress != nil {
		line("Total items to be backed up", st.Progress.TotalItems)
		line("Items backed up", st.Progress.ItemsBackedUp)
	}
	t.Gap()
	t.Row("FILE", "SIZE", "SHA-256")
	for _, f := range d.Files {
		t.Row(f.Name, size(f.Size), orNone(f.SHA256))
	}
	d.printCoverage(t, details)
	for i, item := range d.Items {
		if i == 0 {
			t.Gap()
			t.Row("ITEM")
		}
		t.Row(item)
	}
	return t.Flush()
}

// selection is what was asked for besides namespaces, as label and value, in
// Velero's words and the generation of filters that was used.
func selection(s velerov1.BackupSpec) [][2]string {
	out := [][2]string{
		{"Included cluster-scoped", orAuto(s.IncludedClusterScopedResources)},
		{"Excluded cluster-scoped", orNone(strings.Join(s.ExcludedClusterScopedResources, ", "))},
		{"Included namespace-scoped", orAll(s.IncludedNamespaceScopedResources)},
		{"Excluded namespace-scoped", orNone(strings.Join(s.ExcludedNamespaceScopedResources, ", "))},
	}
	if s.IncludeClusterResources != nil || len(s.IncludedResources)+len(s.ExcludedResources) > 0 {
		cluster := "auto"
		if s.IncludeClusterResources != nil {
			cluster = map[bool]string{true: "included", false: "excluded"}[*s.IncludeClusterResources]
		}
		out = [][2]string{
			{"Resources included", orAll(s.IncludedResources)},
			{"Resources excluded", orNone(strings.Join(s.ExcludedResources, ", "))},
			{"Cluster-scoped", cluster},
		}
	}
	if s.LabelSelector != nil {
		out = append(out, [2]string{"Label selector", metav1.FormatLabelSelector(s.LabelSelector)})
	}
	if len(s.OrLabelSelectors) > 0 {
		out = append(out, [2]string{"Or label selector", orSelector(s.OrLabelSelectors)})
	}
	for _, resource := range slices.Sorted(maps.Keys(s.OrderedResources)) {
		out = append(out, [2]string{"Ordered " + resource, s.OrderedResources[resource]})
	}
	return out
}

func orSelector(selectors []*metav1.LabelSelector) string {
	var out []string
	for _, s := range selectors {
		out = append(out, metav1.FormatLabelSelector(s))
	}
	return strings.Join(out, " or ")
}

func orAuto(names []string) string {
	if len(names) == 0 {
		return "auto"
	}
	return strings.Join(names, ", ")
}

func (d description) printCoverage(t cli.Columns, details bool) {
	if d.Coverage == nil {
		return
	}
	t.Gap()
	t.Row("RESOURCE", "IN CLUSTER", "IN BACKUP", "LEFT OUT")
	for _, r := range d.Coverage {
		if r.Excluded != "" && r.Written == 0 {
			if details {
				t.Row(r.Name, "not listed", 0, r.Excluded)
			}
			continue
		}
		if r.Listed == 0 && r.Error == "" && !details {
			continue
		}
		t.Row(r.Name, r.Listed, r.Written, reasons(r))
	}
}

func reasons(r manifest.Resource) string {
	var parts []string
	if r.Error != "" {
		parts = append(parts, "ERROR: "+r.Error)
	}
	for _, why := range slices.Sorted(maps.Keys(r.LeftOut)) {
		parts = append(parts, fmt.Sprintf("%d %s", r.LeftOut[why], why))
	}
	return strings.Join(parts, "; ")
}

func pairs(m map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
	return orNone(strings.Join(out, ", "))
}

func orNone(s string) string {
	if s == "" {
		return "<none>"
	}
	return s
}

func orAll(names []string) string {
	if len(names) == 0 {
		return "*"
	}
	return strings.Join(names, ", ")
}

// timestamp names restores as Velero does.
func timestamp(t time.Time) string { return t.Format("20060102150405") }
