package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

// checked is what policy check says of a file.
type checked struct {
	File     string           `json:"file"`
	Policy   string           `json:"policy,omitempty"` // its name
	Valid    bool             `json:"valid"`
	Mistakes []policy.Mistake `json:"mistakes,omitempty"`
	// Effective is the policy with its defaults, when that was asked for.
	Effective *policy.Policy `json:"effective,omitempty"`
}

func newPolicy() *cobra.Command {
	return cli.Group("policy", "Work with the files that say what is drilled", newPolicyCheck())
}

func newPolicyCheck() *cobra.Command {
	var (
		effective bool
		out       cli.Format
	)
	c := &cobra.Command{
		Use: "check FILE...", Short: "Say all that is wrong with policies",
		Long: `Read policies (apiVersion ` + policy.APIVersion + `, kind ` + policy.Kind + `) and name every
mistake with its field. Nothing is drilled, and neither a location nor a cluster
is asked. Manifests that a policy names are read.
` + cli.ExitHelp + `
A policy with mistakes is wrong usage.`,
		Example: `  lifeboat-verifier policy check drills/*.yaml
  lifeboat-verifier policy check --effective nightly.yaml`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, files []string) error {
			if len(files) == 0 {
				return cli.Usage("name at least one file, usage: %s", c.UseLine())
			}
			return checkPolicies(c, files, effective, out)
		},
	}
	c.Flags().BoolVar(&effective, "effective", false, "print the policies with their defaults")
	cli.AddOutput(c, &out)
	return c
}

func checkPolicies(c *cobra.Command, files []string, effective bool, out cli.Format) error {
	all := make([]checked, len(files))
	valid := true
	for i, file := range files {
		var err error
		if all[i], err = checkPolicy(file, effective); err != nil {
			return err
		}
		valid = valid && all[i].Valid
	}
	if err := cli.Print(c.OutOrStdout(), out, all, func(w io.Writer) error { return printChecked(w, all) }); err != nil {
		return err
	}
	if !valid {
		return cli.Status(cli.ExitUsage)
	}
	return nil
}

func checkPolicy(file string, effective bool) (checked, error) {
	p, err := policy.Load(file)
	var invalid *policy.InvalidError
	switch {
	case errors.As(err, &invalid):
		return checked{File: file, Mistakes: invalid.Mistakes}, nil
	case err != nil:
		return checked{}, err
	}
	out := checked{File: file, Policy: p.Metadata.Name, Valid: true}
	if effective {
		out.Effective = &p
	}
	return out, nil
}

func printChecked(w io.Writer, all []checked) error {
	for i, c := range all {
		switch {
		case c.Effective != nil:
			text, err := yaml.Marshal(c.Effective)
			if err != nil {
				return err
			}
			if i > 0 {
				fmt.Fprintln(w, "---")
			}
			fmt.Fprintf(w, "# %s\n%s", c.File, text)
		case c.Valid:
			fmt.Fprintf(w, "%s: policy %s is valid\n", c.File, c.Policy)
		}
		for _, m := range c.Mistakes {
			fmt.Fprintf(w, "%s: %s\n", c.File, m)
		}
	}
	return nil
}

// adopt takes what a policy says where no flag says otherwise. It returns the
// policy as the flags leave it, its Spec to be filled in by spec.
func (f *drillFlags) adopt(given func(flag string) bool) (policy.Policy, error) {
	if f.policy == "" {
		return policy.Policy{}, nil
	}
	p, err := policy.Load(f.policy)
	var invalid *policy.InvalidError
	if errors.As(err, &invalid) {
		return p, cli.Usage("--policy %s: %w", f.policy, err)
	}
	if err != nil {
		return p, err
	}
	take(given("location"), (*string)(&f.loc), p.Spec.Location)
	take(given("level"), &f.level, string(p.Spec.Level))
	take(given("timeout"), &f.timeout, p.Spec.Limits.Timeout.Duration)
	f.kind.adopt(p.Spec, given)
	if f.choice.Backup == "" && f.choice.Schedule == "" && !f.choice.Latest {
		err = f.choose(p.Spec.Select)
	}
	return p, err
}

// take keeps what a flag says, or takes what the policy does.
func take[T comparable](given bool, flag *T, said T) {
	var nothing T
	if !given && said != nothing {
		*flag = said
	}
}

// choose takes the one backup that a selection can mean.
func (f *drillFlags) choose(s policy.Select) error {
	switch {
	case len(s.Backups) == 1 && len(s.Schedules) == 0:
		f.choice.Backup = s.Backups[0]
	case len(s.Schedules) == 1 && len(s.Backups) == 0 && !strings.ContainsAny(s.Schedules[0], "*?"):
		f.choice.Schedule = s.Schedules[0]
	default:
		return cli.Usage("--policy %s selects more than one backup, and a drill is of one: give --backup, --schedule or --latest", f.policy)
	}
	return nil
}

func (f *kindFlags) adopt(s policy.Spec, given func(flag string) bool) {
	// A version on the command line is meant to be used, whatever image the
	// policy names.
	if !given("kubernetes-version") {
		take(given("node-image"), &f.nodeImage, s.NodeImage)
	}
	take(given("kubernetes-version"), &f.kubernetesVersion, s.KubernetesVersion)
	take(given("workloads-timeout"), &f.workloadsTimeout, s.Limits.WorkloadsReady.Duration)
	for word, is := range cronJobs {
		take(given("cronjobs") || is != s.CronJobs, &f.cronJobs, word)
	}
	if !given("images") || f.images == string(s.Images.Mode) {
		take(given("images"), &f.images, string(s.Images.Mode))
		take(given("image-archive"), &f.imageArchive, s.Images.Archive)
		if !given("image-mapping") {
			f.mapping = s.Images.Mapping
		}
	}
	if !given("egress") {
		f.ways = s.Egress
	}
}
