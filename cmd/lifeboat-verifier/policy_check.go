package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
)

// checked is the result of policy check for a file.
type checked struct {
	File     string           `json:"file"`
	Policy   string           `json:"policy,omitempty"` // its name
	Valid    bool             `json:"valid"`
	Mistakes []policy.Mistake `json:"mistakes,omitempty"`
	// Effective is the policy with its defaults, when that was asked for.
	Effective *policy.Policy `json:"effective,omitempty"`
}

func newPolicyCheck() *cobra.Command {
	var (
		effective bool
		out       cli.Format
	)
	c := &cobra.Command{
		Use: "check FILE...", Short: "Check policies and list every mistake",
		Long: `Read policies (apiVersion ` + policy.APIVersion + `, kind ` + policy.Kind + `) and list every
mistake with its field. No drill runs, and no location or cluster is contacted.
Manifests that a policy names are read.
` + cli.ExitHelp + `
Mistakes in a policy are a usage error (status 2).`,
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
				cli.Printf(w, "---\n")
			}
			cli.Printf(w, "# %s\n", c.File)
			if _, err := w.Write(text); err != nil {
				return err
			}
		case c.Valid:
			cli.Printf(w, "%s: policy %s is valid\n", c.File, c.Policy)
		}
		for _, m := range c.Mistakes {
			cli.Printf(w, "%s: %s\n", c.File, m)
		}
	}
	return nil
}
