package main

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/cli"
	"github.com/lifeboat-backup/lifeboat/cmd/internal/web"
	"github.com/lifeboat-backup/lifeboat/core/api"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/ledger"
	"github.com/lifeboat-backup/lifeboat/core/location"
	"github.com/lifeboat-backup/lifeboat/core/schedule"
	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/exporter"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// flags are what the user wrote.
type flags struct {
	locations    []string
	kube         kubeFlags
	bucket       bucketFlags
	schedules    []string
	rpos         []string
	interval     time.Duration
	timeout      time.Duration
	provenLevel  string
	provenWithin time.Duration
	maxSchedules int
	ledger       string
	ledgerName   string
	compatNames  bool
	aliases      bool
	repositories bool
	listen       []string
	web          web.Config
	logLevel     string
	logFormat    string
	checkOnly    bool
}

func (f *flags) add(c *cobra.Command) {
	set := c.Flags()
	set.SortFlags = false
	// StringArray, not StringSlice: a cron expression holds commas.
	set.StringArrayVar(&f.locations, "location", nil, "location to read, `[name=]URL`: file:///dir or s3://bucket/prefix; repeatable. Without a name, the only location is named default, and one of several is named by its URL (default: $"+cli.LocationEnv+")")
	f.kube.add(set)
	f.bucket.add(set)
	set.StringArrayVar(&f.schedules, "schedule", nil, "cron expression of a schedule, `name=cron`, as in its spec.schedule; repeatable. Without it, deadlines are inferred from the existing backups, and a schedule that never ran is unknown")
	set.StringArrayVar(&f.rpos, "rpo", nil, "maximum age of the newest recovery point of a schedule, `name=duration`; repeatable (default: two intervals and a grace period)")
	cli.DurationVar(set, &f.interval, "refresh-interval", time.Minute, "time between two readings of a location")
	cli.DurationVar(set, &f.timeout, "refresh-timeout", time.Minute, "time limit of one reading; the next one continues where it ended")
	set.StringVar(&f.provenLevel, "proven-level", string(report.LevelControlPlane), "weakest `level` of a passed drill that proves a backup: integrity, controlplane or kind")
	cli.DurationVar(set, &f.provenWithin, "proven-within", 0, "how long after it became due a backup may go unproven (default: twice the interval of the drill policy and the rpo, else 168h)")
	set.IntVar(&f.maxSchedules, "max-schedules", 500, "maximum number of schedules that have series")
	set.StringVar(&f.ledger, "ledger", "", "location where finished runs are recorded, `URL`, so that counters survive restarts, expiry and the cluster (default: counters start at zero with the exporter, and nothing is written)")
	set.StringVar(&f.ledgerName, "ledger.name", defaultName, "`name` of the ledger, for clusters that share its location")
	set.BoolVar(&f.compatNames, "compat.names", true, "serve metrics under Velero's names; turn it off if Velero is scraped too")
	set.BoolVar(&f.aliases, "compat.aliases", true, "serve velero_restore_failure_total, which many rules use and Velero does not have")
	set.BoolVar(&f.repositories, "repositories", false, "serve velero_repo_maintenance_* and keep maintenance in the ledger; 14 series for each BackupRepository, of at most 500")
	set.StringArrayVar(&f.listen, "web.listen-address", []string{":9808"}, "`address` to serve on; repeatable")
	f.web.Add(set)
	set.BoolVar(&f.checkOnly, "config.check", false, "check flags, web configuration and kubeconfig, print what was checked, and exit")
	set.StringVar(&f.logLevel, "log.level", "info", "`level`: debug, info, warn or error")
	set.StringVar(&f.logFormat, "log.format", "text", "`format`: text or json")
}

// settings are flags that make sense.
type settings struct {
	locations []namedURL
	bucket    bucketFlags
	ledger    *ledger.Ledger // nil: in memory
	ledgerURL string
	cluster   *cluster.Client // nil for none
	namespace string
	exporter  exporter.Config
	listen    []string
	web       web.Config
	log       *slog.Logger
}

// namedURL is a location and the name it has in labels.
type namedURL struct{ name, url string }

// settings checks everything and returns the first mistake.
func (f *flags) settings(stderr io.Writer) (settings, error) {
	s := settings{bucket: f.bucket, listen: f.listen, web: f.web, ledgerURL: f.ledger, namespace: f.kube.namespace}
	s.exporter = exporter.Config{
		Interval: f.interval, Timeout: f.timeout, ProvenLevel: report.Level(f.provenLevel),
		ProvenWithin: f.provenWithin, MaxSchedules: f.maxSchedules, Build: build(),
		CompatNames: f.compatNames, CompatAliases: f.aliases, Repositories: f.repositories,
		StorageInterval: f.bucket.storageInterval, LockRequired: f.bucket.lock == lockRequire,
		ServerTTL: f.kube.ttl, GCPeriod: f.kube.gcPeriod,
	}
	var err error
	if url := os.Getenv(cli.LocationEnv); len(f.locations) == 0 && url != "" {
		f.locations = []string{url}
	}
	if s.locations, err = parseLocations(f.locations); err != nil {
		return settings{}, err
	}
	if s.ledger, err = openLedger(f.ledger, f.ledgerName); err != nil {
		return settings{}, err
	}
	if s.cluster, err = f.kube.client(); err != nil {
		return settings{}, err
	}
	if len(s.locations) == 0 && s.cluster == nil && f.ledger == "" {
		return settings{}, cli.Usage("nothing to read: give --location file:///dir or --location s3://bucket/prefix, or --kubeconfig FILE, or --ledger URL")
	}
	if s.exporter.Schedules, err = parseSchedules(f.schedules); err != nil {
		return settings{}, err
	}
	if s.exporter.RPO, err = parseRPOs(f.rpos); err != nil {
		return settings{}, err
	}
	if err := f.checkRest(); err != nil {
		return settings{}, err
	}
	s.log, err = newLogger(stderr, f.logLevel, f.logFormat)
	return s, err
}

// describe says what was checked, for --config.check.
func (s settings) describe(w io.Writer) error {
	var b strings.Builder
	for _, l := range s.locations {
		cli.Printf(&b, "location %s: %s\n", l.name, l.url)
	}
	if s.cluster != nil {
		cli.Printf(&b, "cluster: %s, namespace %s\n", s.cluster.Host(), s.namespace)
	}
	for _, name := range slices.Sorted(maps.Keys(s.exporter.Schedules)) {
		cli.Printf(&b, "schedule %s: %s\n", name, s.exporter.Schedules[name])
	}
	for _, name := range slices.Sorted(maps.Keys(s.exporter.RPO)) {
		cli.Printf(&b, "rpo %s: %s\n", name, s.exporter.RPO[name])
	}
	if s.ledgerURL != "" {
		cli.Printf(&b, "ledger: %s\n", s.ledgerURL)
	}
	if s.web.File != "" {
		cli.Printf(&b, "web config: %s\n", s.web.File)
	}
	cli.Printf(&b, "addresses: %s\n", strings.Join(s.listen, ", "))
	b.WriteString("flags and files are in order; no location was opened, and no cluster asked\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (f *flags) checkRest() error {
	for name, d := range map[string]time.Duration{"refresh-interval": f.interval, "refresh-timeout": f.timeout, "proven-within": cmp.Or(f.provenWithin, time.Hour)} {
		if d < time.Second {
			return cli.Usage("--%s %s: it must be a second or more", name, d)
		}
	}
	if err := f.bucket.check(); err != nil {
		return err
	}
	if f.maxSchedules < 1 {
		return cli.Usage("--max-schedules %d: it must be 1 or more", f.maxSchedules)
	}
	if !slices.Contains(exporter.Levels(), report.Level(f.provenLevel)) {
		return cli.Usage("--proven-level %q: it must be one of %v", f.provenLevel, exporter.Levels())
	}
	for _, address := range f.listen {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return cli.Usage("--web.listen-address %q: it must be host:port or :port", address)
		}
	}
	return f.web.Check()
}

// locationName is what a location may be called: the value of a label, and no
// URL. A "=" within a URL comes after its "://".
var locationName = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)=(.*)$`)

const defaultName = "default"

func parseLocations(args []string) ([]namedURL, error) {
	var out []namedURL
	for _, arg := range args {
		l := namedURL{name: defaultName, url: arg}
		if m := locationName.FindStringSubmatch(arg); m != nil {
			l = namedURL{name: m[1], url: m[3]}
		} else if len(args) > 1 {
			// Without its query, which says how to get there and not where.
			l.name, _, _ = strings.Cut(arg, "?")
		}
		if _, err := location.Parse(l.url); err != nil {
			return nil, cli.Usage("--location: %w", err)
		}
		if slices.ContainsFunc(out, func(o namedURL) bool { return o.name == l.name }) {
			return nil, cli.Usage("--location: the name %q is given twice", l.name)
		}
		out = append(out, l)
	}
	return out, nil
}

// openLedger makes a ledger that is opened when it is first used; nil without a
// URL. A directory must be there: a mistyped one would begin a new ledger.
func openLedger(rawURL, name string) (*ledger.Ledger, error) {
	if rawURL == "" {
		return nil, nil
	}
	if _, err := location.Parse(rawURL); err != nil {
		return nil, cli.Usage("--ledger: %w", err)
	}
	l, err := ledger.New(name, func(ctx context.Context) (store.Store, error) {
		return location.Open(ctx, rawURL, location.Options{})
	})
	if err != nil {
		return nil, cli.Usage("--ledger.name: %w", err)
	}
	return l, nil
}

func parseSchedules(args []string) (map[string]schedule.Cron, error) {
	out := map[string]schedule.Cron{}
	for _, arg := range args {
		name, expr, err := named("schedule", arg, `"db=0 2 * * *"`)
		if err != nil {
			return nil, err
		}
		cron, err := schedule.Parse(expr)
		if err != nil {
			return nil, cli.Usage("--schedule %s: %w", name, err)
		}
		if _, twice := out[name]; twice {
			return nil, cli.Usage("--schedule: %q is given twice", name)
		}
		out[name] = cron
	}
	return out, nil
}

func parseRPOs(args []string) (map[string]time.Duration, error) {
	out := map[string]time.Duration{}
	for _, arg := range args {
		name, value, err := named("rpo", arg, "db=26h")
		if err != nil {
			return nil, err
		}
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return nil, cli.Usage("--rpo %s: %q is no duration such as 26h or 90m", name, value)
		}
		if _, twice := out[name]; twice {
			return nil, cli.Usage("--rpo: %q is given twice", name)
		}
		out[name] = d
	}
	return out, nil
}

// named splits name=value. The name becomes what the label of a backup holds,
// which differs for a name longer than a label may be.
func named(flag, arg, example string) (name, value string, err error) {
	name, value, ok := strings.Cut(arg, "=")
	if !ok || name == "" || value == "" {
		return "", "", cli.Usage("--%s %q: it must be name=value, as in --%s %s", flag, arg, flag, example)
	}
	return api.LabelValue(name), value, nil
}

func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil || !slices.Contains([]string{"debug", "info", "warn", "error"}, level) {
		return nil, cli.Usage("--log.level %q: it must be debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, cli.Usage("--log.format %q: it must be text or json", format)
}
