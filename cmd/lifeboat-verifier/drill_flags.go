package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier"
	"github.com/lifeboat-backup/lifeboat/verifier/policy"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// drillFlags say what to drill, and how. The how is a policy.Spec: flags are laid
// over that of the policy, or over the defaults, so that a drill does the same
// whether flags or a policy ask for it.
type drillFlags struct {
	loc          cli.Location
	choice       verifier.Choice
	ids          cli.Identities
	password     cli.RepoPassword
	volumeBytes  cli.Share
	policy       string
	controlPlane string
	out          cli.Format

	level   string
	timeout time.Duration

	// Of level kind.
	kubernetesVersion string
	nodeImage         string
	images            string
	imageArchive      string
	imageMapping      string
	egress            []string
	cronJobs          string
	workloadsTimeout  time.Duration
}

// The words of --cronjobs, and what they are in a policy.
var cronJobs = map[string]policy.CronJobs{"suspended": policy.CronJobsSuspended, "as-is": policy.CronJobsAsIs}

func (f *drillFlags) add(c *cobra.Command) {
	f.loc.Add(c)
	f.ids.Add(c)
	f.password.Add(c)
	cli.AddShare(c, &f.volumeBytes)
	s, or := c.Flags(), policy.Default()
	s.StringVar(&f.policy, "policy", "", "take from the policy in this `file` what no flag sets")
	cli.TextVarP(s, &f.choice.Backup, "backup", "", "`name` of the backup")
	cli.TextVarP(s, &f.choice.Schedule, "schedule", "", "drill the newest backup of this `schedule`")
	s.BoolVar(&f.choice.Latest, "latest", false, "drill the newest backup of the location")
	s.StringVar(&f.level, "level", string(or.Level), "how much to prove: integrity, controlplane or kind")
	s.StringVar(&f.controlPlane, "controlplane-binary", "", "`path` of lifeboat-controlplane (default: $LIFEBOAT_CONTROLPLANE, beside this program, or in PATH)")
	s.StringVar(&f.kubernetesVersion, "kubernetes-version", or.KubernetesVersion, "level kind: Kubernetes `version` of the sandbox, such as 1.36.2; source is that of the backup's cluster")
	s.StringVar(&f.nodeImage, "node-image", "", "level kind: `image` of the sandbox's node; overrides --kubernetes-version")
	s.StringVar(&f.images, "images", string(or.Images.Mode), "level kind: where the images of the workloads come from: pull, load or substitute")
	s.StringVar(&f.imageArchive, "image-archive", "", "level kind: `path` of a docker or OCI archive to load images from (default: the host's container engine)")
	s.StringVar(&f.imageMapping, "image-mapping", "", "level kind: YAML `file` with the substitute of each image or pattern (*), for --images substitute")
	s.StringArrayVar(&f.egress, "egress", nil, "level kind: connections to allow out of the sandbox, `CIDR[:port][/protocol]`, IPv6 as [CIDR]:port; can be given several times")
	s.StringVar(&f.cronJobs, "cronjobs", "suspended", "level kind: restored CronJobs start suspended or as-is")
	cli.DurationVar(s, &f.workloadsTimeout, "workloads-timeout", or.Limits.WorkloadsReady.Duration, "level kind: how long restored workloads may take to become ready")
	cli.DurationVar(s, &f.timeout, "timeout", or.Limits.Timeout.Duration, "stop after this long; the verdict is then error")
	cli.AddOutput(c, &f.out)
	for flag, words := range map[string][]string{
		"level": {"integrity", "controlplane", "kind"}, "images": {"pull", "load", "substitute"}, "cronjobs": {"suspended", "as-is"},
	} {
		_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // fails only for an unknown flag
	}
}

// request is a drill as the policy and the flags ask for it.
type request struct {
	choice verifier.Choice
	policy string // its name, "" for none
	spec   policy.Spec
}

// request lays the flags that were given over the policy, or over the defaults.
func (f *drillFlags) request(given func(flag string) bool) (request, error) {
	r := request{choice: f.choice, spec: policy.Default()}
	if f.policy != "" {
		p, err := policy.Load(f.policy)
		if invalid := (*policy.InvalidError)(nil); errors.As(err, &invalid) {
			return r, cli.Usage("--policy %s: %w", f.policy, err)
		}
		if err != nil {
			return r, err
		}
		r.policy, r.spec = p.Metadata.Name, p.Spec
	}
	if err := f.lay(&r.spec, given); err != nil {
		return r, err
	}
	if f.policy != "" && r.choice == (verifier.Choice{}) {
		var ok bool
		if r.choice, ok = only(r.spec.Select); !ok {
			return r, cli.Usage("--policy %s selects more than one backup, and a drill is of one: give --backup, --schedule or --latest", f.policy)
		}
	}
	return r, checkChoice(r.choice)
}

// lay lays the flags over a spec and validates the result.
func (f *drillFlags) lay(s *policy.Spec, given func(flag string) bool) error {
	over(&s.Location, string(f.loc), given("location"))
	s.Location = cmp.Or(s.Location, os.Getenv(cli.LocationEnv))
	over(&s.Level, report.Level(f.level), given("level"))
	over(&s.Limits.Timeout.Duration, f.timeout, given("timeout"))
	over(&s.Limits.WorkloadsReady.Duration, f.workloadsTimeout, given("workloads-timeout"))
	if !given("workloads-timeout") && s.Limits.Timeout.Duration > 0 {
		s.Limits.WorkloadsReady.Duration = min(s.Limits.WorkloadsReady.Duration, s.Limits.Timeout.Duration)
	}
	if given("kubernetes-version") {
		s.KubernetesVersion, s.NodeImage = f.kubernetesVersion, "" // the policy's image would override the version
	}
	over(&s.NodeImage, f.nodeImage, given("node-image"))
	if mode := policy.ImageMode(f.images); given("images") && mode != s.Images.Mode {
		s.Images = policy.Images{Mode: mode}
	}
	over(&s.Images.Archive, f.imageArchive, given("image-archive"))
	if err := f.parse(s, given); err != nil {
		return err
	}
	if m := s.ValidateDrill(); len(m) > 0 {
		return cli.Usage("%s", flagMistakes(m))
	}
	return nil
}

func over[T any](field *T, flag T, given bool) {
	if given {
		*field = flag
	}
}

// parse lays the flags over a spec whose values have a form of their own.
func (f *drillFlags) parse(s *policy.Spec, given func(flag string) bool) (err error) {
	if given("image-mapping") {
		if s.Images.Mapping, err = readMapping(f.imageMapping); err != nil {
			return err
		}
	}
	if given("egress") {
		if s.Egress, err = parseEgresses(f.egress); err != nil {
			return err
		}
	}
	if given("cronjobs") {
		var ok bool
		if s.CronJobs, ok = cronJobs[f.cronJobs]; !ok {
			return cli.Usage("--cronjobs %q: must be suspended or as-is", f.cronJobs)
		}
	}
	return nil
}

// fieldFlags are the flags that set the fields of a spec.
var fieldFlags = []struct{ field, flag string }{
	{"spec.level", "--level"},
	{"spec.kubernetesVersion", "--kubernetes-version"},
	{"spec.nodeImage", "--node-image"},
	{"spec.limits.timeout", "--timeout"},
	{"spec.limits.workloadsReady", "--workloads-timeout"},
	{"spec.images.mode", "--images"},
	{"spec.images.archive", "--image-archive"},
	{"spec.images.mapping", "--image-mapping"},
	{"spec.egress", "--egress"},
}

// flagMistakes words mistakes of a spec for who wrote flags.
func flagMistakes(all []policy.Mistake) string {
	lines := make([]string, len(all))
	for i, m := range all {
		lines[i] = m.String()
		for _, f := range fieldFlags {
			if rest, ok := strings.CutPrefix(m.Field, f.field); ok {
				lines[i] = fmt.Sprintf("%s%s %s", f.flag, rest, m.Message)
			}
		}
	}
	return strings.Join(lines, "\n")
}

// only returns the one backup that a selection can mean.
func only(s policy.Select) (c verifier.Choice, ok bool) {
	switch {
	case len(s.Backups) == 1 && len(s.Schedules) == 0:
		return verifier.Choice{Backup: s.Backups[0]}, true
	case len(s.Schedules) == 1 && len(s.Backups) == 0 && !strings.ContainsAny(s.Schedules[0], "*?"):
		return verifier.Choice{Schedule: s.Schedules[0]}, true
	}
	return verifier.Choice{}, false
}

func checkChoice(c verifier.Choice) error {
	given := 0
	for _, is := range []bool{c.Backup != "", c.Schedule != "", c.Latest} {
		if is {
			given++
		}
	}
	if given != 1 {
		return cli.Usage("give exactly one of --backup, --schedule and --latest")
	}
	if c.Backup == "" {
		return nil
	}
	if err := store.CheckName(c.Backup); err != nil {
		return cli.Usage("--backup: %w", err)
	}
	return nil
}
