// Package policy is the DrillPolicy: one YAML file that sets which backups are
// drilled, when, how thoroughly, with which checks, and what counts as proven.
// It reads, completes and judges policies; it runs nothing.
package policy

import (
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// APIVersion and Kind head every policy file.
const (
	APIVersion = "lifeboat.dev/v1alpha1"
	Kind       = "DrillPolicy"
)

// Policy is a DrillPolicy. Unknown fields are mistakes.
type Policy struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	Spec       Spec     `json:"spec"`
}

// Metadata names the policy. Evidence carries the name.
type Metadata struct {
	Name string `json:"name"`
}

// Spec is what a policy asks for.
type Spec struct {
	// Location is the URL of the backups; the flag --location outranks it.
	Location string `json:"location,omitempty"`
	Select   Select `json:"select"`
	// Cron sets when to drill, in the syntax of a Schedule: five fields,
	// @every, CRON_TZ=. Only `run` reads it.
	Cron  string       `json:"cron,omitempty"`
	Level report.Level `json:"level,omitempty"` // default controlplane
	// KubernetesVersion of the sandbox at level kind; "source" (the default) is
	// that of the cluster the backup was made of.
	KubernetesVersion string `json:"kubernetesVersion,omitempty"`
	// NodeImage outranks KubernetesVersion.
	NodeImage string    `json:"nodeImage,omitempty"`
	Limits    Limits    `json:"limits,omitzero"`
	Targets   Targets   `json:"targets,omitzero"`
	Images    Images    `json:"images,omitzero"`
	Egress    []Egress  `json:"egress,omitempty"`
	CronJobs  CronJobs  `json:"cronJobs,omitempty"` // default Suspended
	Waivers   []Waiver  `json:"waivers,omitempty"`
	Checks    []Check   `json:"checks,omitempty"`
	Proven    Proven    `json:"proven,omitzero"`
	Evidence  Retention `json:"evidence,omitzero"`
}

// Select sets which backups are drilled: of each schedule that matches the
// newest one that is not proven, and the named backups.
type Select struct {
	// Schedules are patterns (*, ?) for the label velero.io/schedule-name.
	Schedules []string `json:"schedules,omitempty"`
	// Backups are names.
	Backups []string `json:"backups,omitempty"`
	// Older is how many older backups of each schedule are drilled besides, in
	// each run, those first that were never drilled.
	Older int `json:"older,omitempty"`
}

// Duration is a time.Duration in the words of time.ParseDuration, and d for
// days of 24 hours.
type Duration struct{ time.Duration }

// Limits bound what a drill may take.
type Limits struct {
	Timeout        Duration `json:"timeout,omitzero"`        // of one drill; default 30m
	WorkloadsReady Duration `json:"workloadsReady,omitzero"` // from the end of the restore; default 5m
	Concurrency    int      `json:"concurrency,omitempty"`   // drills at a time; default 1
}

// Targets are what recovery must keep to; a drill that does not is failed. Zero
// is no target.
type Targets struct {
	// RPO is the longest time between the start of the drill and the start of
	// the newest backup.
	RPO Duration `json:"rpo,omitzero"`
	// RTO is the longest time from the beginning of the restore until the last
	// check has passed.
	RTO Duration `json:"rto,omitzero"`
}

// ImageMode sets where the images of restored workloads come from.
type ImageMode string

// The modes.
const (
	ImagesPull       ImageMode = "pull"       // the node pulls them before the sandbox is closed (default)
	ImagesLoad       ImageMode = "load"       // from the host's container engine, or from Archive
	ImagesSubstitute ImageMode = "substitute" // Mapping says which image replaces which
)

// Images sets where the images of restored workloads come from.
type Images struct {
	Mode ImageMode `json:"mode,omitempty"`
	// Archive is the path of a docker or OCI archive for load; "" takes the
	// images of the host's engine.
	Archive string `json:"archive,omitempty"`
	// Mapping holds the substitute for each image or pattern (*) of the backup.
	// Substitutes come from the host's engine or Archive.
	Mapping map[string]string `json:"mapping,omitempty"`
}

// Egress is one way out of the sandbox.
type Egress struct {
	CIDR     string `json:"cidr"`               // IPv4 or IPv6
	Port     int    `json:"port,omitempty"`     // 0 is every port
	Protocol string `json:"protocol,omitempty"` // TCP (default) or UDP
}

// CronJobs sets what becomes of restored CronJobs.
type CronJobs string

// The choices.
const (
	CronJobsSuspended CronJobs = "Suspended"
	CronJobsAsIs      CronJobs = "AsIs"
)

// Waiver accepts a finding, with a reason that the evidence shows.
type Waiver struct {
	Check  string `json:"check"`            // name of a built-in check
	Object string `json:"object,omitempty"` // pattern (*) for the finding's object; "" is every one
	Reason string `json:"reason"`
}

// Check is one question of the user to what was restored. Exactly one of Exec,
// HTTP, SQL and Job is set.
type Check struct {
	Name    string   `json:"name"`
	Timeout Duration `json:"timeout,omitzero"` // until it has passed; default 1m
	Exec    *Exec    `json:"exec,omitempty"`
	HTTP    *HTTP    `json:"http,omitempty"`
	SQL     *SQL     `json:"sql,omitempty"`
	Job     *Job     `json:"job,omitempty"`
	Expect  Expect   `json:"expect,omitzero"`
}

// Target is a pod: by name, by label selector, or one of a workload
// (deployment/web). The first ready one is taken.
type Target struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod,omitempty"`
	Selector  string `json:"selector,omitempty"`
	Workload  string `json:"workload,omitempty"`
	Container string `json:"container,omitempty"` // default: the first
}

// Exec runs a command in a container.
type Exec struct {
	Target  `json:",inline"`
	Command []string `json:"command"`
	Stdin   string   `json:"stdin,omitempty"`
}

// HTTP sends one request to a Service, through the API server of the sandbox.
type HTTP struct {
	Namespace string             `json:"namespace"`
	Service   string             `json:"service"`
	Port      intstr.IntOrString `json:"port"`             // number or name
	Scheme    string             `json:"scheme,omitempty"` // http (default) or https
	Method    string             `json:"method,omitempty"` // default GET
	Path      string             `json:"path,omitempty"`   // default /
	// Headers hold a value or a reference to one.
	Headers map[string]Value `json:"headers,omitempty"`
	Body    string           `json:"body,omitempty"`
}

// SQL asks one query through the client program of the database's own pod.
type SQL struct {
	Target   `json:",inline"`
	Driver   string `json:"driver"`             // postgres, mysql or sqlite
	Database string `json:"database,omitempty"` // for sqlite the path of the file
	User     Value  `json:"user,omitzero"`
	Password Value  `json:"password,omitzero"`
	Query    string `json:"query"`
}

// Job runs a manifest (a batch/v1 Job) in the sandbox; its exit code and log
// are what is expected of.
type Job struct {
	// Manifest is the Job itself; ManifestFile the path of one, relative to
	// the policy. One of both.
	Manifest     map[string]any `json:"manifest,omitempty"`
	ManifestFile string         `json:"manifestFile,omitempty"`
}

// Value is a text, or a reference to one. Secrets are given by reference
// only: evidence shows the reference and never the value.
type Value struct {
	Value string `json:"value,omitempty"`
	// SecretKeyRef is a restored Secret of the sandbox.
	SecretKeyRef *SecretKeyRef `json:"secretKeyRef,omitempty"`
	// Env is a variable of the verifier's environment, File a file it can read.
	Env  string `json:"env,omitempty"`
	File string `json:"file,omitempty"`
}

// SecretKeyRef names a key of a Secret in the namespace of its check.
type SecretKeyRef struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

// Expect sets which answer is right. What is not set is not checked, except for the
// exit code (0) and the HTTP status (200 to 299).
type Expect struct {
	ExitCode *int      `json:"exitCode,omitempty"`
	Status   *int      `json:"status,omitempty"`
	Output   *Output   `json:"output,omitempty"`
	JSONPath []JSONIs  `json:"jsonPath,omitempty"`
	Within   *Duration `json:"within,omitempty"` // the answer's own time
}

// Output is what is expected of standard output, the body or the result of the
// query, without the white space around it.
type Output struct {
	Equals   *string `json:"equals,omitempty"`
	Contains string  `json:"contains,omitempty"`
	Matches  string  `json:"matches,omitempty"` // RE2
	// Min and Max bound an answer that is a number.
	Min *float64 `json:"min,omitempty"`
	Max *float64 `json:"max,omitempty"`
}

// JSONIs expects of the value at a JSONPath (kubectl's) that it equals.
type JSONIs struct {
	Path   string `json:"path"`
	Equals string `json:"equals"`
}

// Proven sets what counts: a passed drill of at least this level, not older.
type Proven struct {
	Level  report.Level `json:"level,omitempty"` // default: spec.level
	MaxAge Duration     `json:"maxAge,omitzero"` // default: for as long as the backup exists
}

// Retention of evidence. Zero keeps everything.
type Retention struct {
	Keep   int      `json:"keep,omitempty"`  // newest drills of each backup
	MaxAge Duration `json:"maxAge,omitzero"` // and those younger than this
}
