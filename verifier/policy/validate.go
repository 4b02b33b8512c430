package policy

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/lifeboat-backup/lifeboat/core/location"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// SourceVersion as kubernetesVersion is the version of the backup's own
// cluster.
const SourceVersion = "source"

// The limits of a policy.
const (
	MaxTimeout      = 24 * time.Hour
	MaxCheckTimeout = time.Hour
	MaxConcurrency  = 16
	MaxChecks       = 100
	MaxOlder        = 1000
	MaxText         = 64 << 10 // bytes of a command, a body, a query
)

// Validate judges a policy that has its defaults and returns every mistake, in
// the order of the fields.
func (p *Policy) Validate() []Mistake {
	var m mistakes
	if p.APIVersion != APIVersion {
		m.add(field.NewPath("apiVersion"), "%q: must be %s", p.APIVersion, APIVersion)
	}
	enum(&m, field.NewPath("kind"), p.Kind, Kind)
	name(&m, field.NewPath("metadata", "name"), p.Metadata.Name, validation.IsDNS1123Subdomain)
	p.Spec.validate(&m, field.NewPath("spec"))
	return m
}

func (s *Spec) validate(m *mistakes, at *field.Path) {
	if s.Location != "" {
		if _, err := location.Parse(s.Location); err != nil {
			m.add(at.Child("location"), "%s", err)
		}
	}
	s.Select.validate(m, at.Child("select"))
	if s.Cron != "" {
		if _, err := schedule.Parse(s.Cron); err != nil {
			m.add(at.Child("cron"), "%s", err)
		}
	}
	s.validateDrill(m, at)
	for i, w := range s.Waivers {
		w.validate(m, at.Child("waivers").Index(i))
	}
	validateChecks(m, at.Child("checks"), s.Checks)
	s.onlyKind(m, at)
	s.Proven.validate(m, at.Child("proven"), s.Level)
	atLeast(m, at.Child("evidence", "keep"), s.Evidence.Keep, 0)
	notNegative(m, at.Child("evidence", "maxAge"), s.Evidence.MaxAge)
}

// ValidateDrill checks the fields that set how a drill runs, in a spec that has its
// defaults, and returns every mistake. It accepts what has no effect at the
// level: flags may lower the level of a policy.
func (s *Spec) ValidateDrill() []Mistake {
	var m mistakes
	s.validateDrill(&m, field.NewPath("spec"))
	return m
}

func (s *Spec) validateDrill(m *mistakes, at *field.Path) {
	enum(m, at.Child("level"), s.Level, report.LevelIntegrity, report.LevelControlPlane, report.LevelKind)
	s.version(m, at)
	s.Limits.validate(m, at.Child("limits"), s.Level)
	notNegative(m, at.Child("targets", "rpo"), s.Targets.RPO)
	notNegative(m, at.Child("targets", "rto"), s.Targets.RTO)
	s.Images.validate(m, at.Child("images"))
	for i, e := range s.Egress {
		e.validate(m, at.Child("egress").Index(i))
	}
	enum(m, at.Child("cronJobs"), s.CronJobs, CronJobsSuspended, CronJobsAsIs)
}

// onlyKind refuses what would have no effect at a level that runs no
// workloads: a check that is never asked must not be believed in.
func (s *Spec) onlyKind(m *mistakes, at *field.Path) {
	if s.Level != report.LevelControlPlane && s.Level != report.LevelIntegrity {
		return
	}
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"kubernetesVersion", s.KubernetesVersion != SourceVersion},
		{"nodeImage", s.NodeImage != ""},
		{"images", s.Images.Mode != ImagesPull},
		{"egress", len(s.Egress) > 0},
		{"checks", len(s.Checks) > 0},
	} {
		if f.set {
			m.add(at.Child(f.name), "has no effect at level %s, which runs no workloads: set spec.level to kind", s.Level)
		}
	}
}

var (
	patternWord = regexp.MustCompile(`^[A-Za-z0-9._*?-]+$`)
	versionWord = regexp.MustCompile(`^v?[0-9]{1,3}\.[0-9]{1,3}(\.[0-9]{1,3})?$`)
	checkWord   = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

func (s Select) validate(m *mistakes, at *field.Path) {
	if len(s.Schedules)+len(s.Backups) == 0 {
		m.add(at, "selects nothing: name schedules (patterns such as nightly-*) or backups")
	}
	for i, p := range s.Schedules {
		if !patternWord.MatchString(p) {
			m.add(at.Child("schedules").Index(i), "%q: must be the name of a schedule, or a pattern with * and ?", p)
		}
	}
	for i, b := range s.Backups {
		if err := store.CheckName(b); err != nil {
			m.add(at.Child("backups").Index(i), "%s", err)
		}
	}
	unique(m, at.Child("schedules"), s.Schedules)
	unique(m, at.Child("backups"), s.Backups)
	within(m, at.Child("older"), s.Older, 0, MaxOlder)
	if s.Older > 0 && len(s.Schedules) == 0 {
		m.add(at.Child("older"), "%d: counts older backups of schedules, but schedules is empty", s.Older)
	}
}

func (s *Spec) version(m *mistakes, at *field.Path) {
	if s.KubernetesVersion != SourceVersion && !versionWord.MatchString(s.KubernetesVersion) {
		m.add(at.Child("kubernetesVersion"), "%q: must be source, or a version such as v1.34 or v1.34.4%s", s.KubernetesVersion, meant(s.KubernetesVersion, []string{SourceVersion}))
	}
	if s.NodeImage != "" {
		image(m, at.Child("nodeImage"), s.NodeImage)
	}
}

// validate checks workloadsReady against timeout at level kind only: no other
// level waits for workloads.
func (l Limits) validate(m *mistakes, at *field.Path, level report.Level) {
	upTo(m, at.Child("timeout"), l.Timeout, MaxTimeout)
	upTo(m, at.Child("workloadsReady"), l.WorkloadsReady, MaxTimeout)
	if level == report.LevelKind && l.Timeout.Duration > 0 && l.WorkloadsReady.Duration > l.Timeout.Duration {
		m.add(at.Child("workloadsReady"), "%s: is longer than the whole drill may take, %s (timeout)", l.WorkloadsReady, l.Timeout)
	}
	within(m, at.Child("concurrency"), l.Concurrency, 1, MaxConcurrency)
}

func (i Images) validate(m *mistakes, at *field.Path) {
	enum(m, at.Child("mode"), i.Mode, ImagesPull, ImagesLoad, ImagesSubstitute)
	if i.Archive != "" && i.Mode == ImagesPull {
		m.add(at.Child("archive"), "%q: goes with mode load or substitute", i.Archive)
	}
	switch {
	case i.Mode == ImagesSubstitute && len(i.Mapping) == 0:
		m.add(at.Child("mapping"), "is required with mode substitute: which image replaces which")
	case i.Mode != ImagesSubstitute && len(i.Mapping) > 0:
		m.add(at.Child("mapping"), "goes with mode substitute")
	}
	for _, pattern := range sortedKeys(i.Mapping) {
		if strings.TrimSpace(pattern) != pattern || pattern == "" {
			m.add(at.Child("mapping").Key(pattern), "must be an image, or a pattern with *")
		}
		image(m, at.Child("mapping").Key(pattern), i.Mapping[pattern])
	}
}

func (e Egress) validate(m *mistakes, at *field.Path) {
	prefix, err := netip.ParsePrefix(e.CIDR)
	switch {
	case err != nil:
		m.add(at.Child("cidr"), "%q: must be an IPv4 or IPv6 range such as 10.1.0.0/16, 10.1.2.3/32 or fd00::/64", e.CIDR)
	case prefix.Masked() != prefix:
		m.add(at.Child("cidr"), "%q: has bits set beyond its prefix length; must be %s, or %s for the one address", e.CIDR, prefix.Masked(), netip.PrefixFrom(prefix.Addr(), prefix.Addr().BitLen()))
	}
	within(m, at.Child("port"), e.Port, 0, 65535)
	if e.Protocol != "" {
		enum(m, at.Child("protocol"), e.Protocol, "TCP", "UDP")
	}
}

func (w Waiver) validate(m *mistakes, at *field.Path) {
	if !checkWord.MatchString(w.Check) {
		m.add(at.Child("check"), "%q: must be the name of a built-in check, such as workloads_ready; to accept the answer of a check of this policy, change its expect", w.Check)
	}
	if strings.TrimSpace(w.Reason) == "" {
		m.add(at.Child("reason"), "is required: the evidence shows why the finding is accepted")
	}
}

func (p Proven) validate(m *mistakes, at *field.Path, level report.Level) {
	levels := []report.Level{report.LevelIntegrity, report.LevelControlPlane, report.LevelKind}
	if p.Level != level { // the default repeats the mistake in spec.level
		enum(m, at.Child("level"), p.Level, levels...)
	}
	if slices.Contains(levels, p.Level) && slices.Contains(levels, level) && !level.Proves(p.Level) {
		m.add(at.Child("level"), "%q: cannot be reached by drills of spec.level %q, so nothing would ever be proven", p.Level, level)
	}
	notNegative(m, at.Child("maxAge"), p.MaxAge)
}

// name adds a mistake for each rule of Kubernetes that the name breaks.
func name(m *mistakes, at *field.Path, value string, rule func(string) []string) {
	if value == "" {
		m.add(at, "is required")
		return
	}
	for _, broken := range rule(value) {
		m.add(at, "%q: %s", value, broken)
	}
}

func image(m *mistakes, at *field.Path, value string) {
	if _, err := reference.ParseDockerRef(value); err != nil {
		m.add(at, "%q: is not an image: %s", value, err)
	}
}

func notNegative(m *mistakes, at *field.Path, d Duration) {
	if d.Duration < 0 {
		m.add(at, "%s: must not be negative", d)
	}
}

func upTo(m *mistakes, at *field.Path, d Duration, most time.Duration) {
	if d.Duration <= 0 || d.Duration > most {
		m.add(at, "%s: must be longer than 0s and at most %s", d, Duration{most})
	}
}

func within(m *mistakes, at *field.Path, n, least, most int) {
	if n < least || n > most {
		m.add(at, "%d: must be from %d to %d", n, least, most)
	}
}

func atLeast(m *mistakes, at *field.Path, n, least int) {
	if n < least {
		m.add(at, "%d: must be at least %d", n, least)
	}
}

func text(m *mistakes, at *field.Path, value string) {
	if len(value) > MaxText {
		m.add(at, "is %d bytes long: must be at most %d", len(value), MaxText)
	}
}

func unique(m *mistakes, at *field.Path, values []string) {
	first := map[string]int{}
	for i, v := range values {
		if j, ok := first[v]; ok {
			m.add(at.Index(i), "%q: is at %s already", v, at.Index(j))
			continue
		}
		first[v] = i
	}
}

func sortedKeys[V any](of map[string]V) []string {
	keys := make([]string, 0, len(of))
	for k := range of {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, cmp.Compare)
	return keys
}
