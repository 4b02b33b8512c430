package policy

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kubejson "sigs.k8s.io/json"

	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// The databases whose client programs are known.
const (
	Postgres = "postgres"
	MySQL    = "mysql"
	SQLite   = "sqlite"
)

// The workloads that a Target may name.
const (
	Deployment  = "deployment"
	StatefulSet = "statefulset"
	DaemonSet   = "daemonset"
)

// Kind is exec, http, sql or job: what the evidence calls the check's sort. It
// is "" for a check that asks nothing.
func (c Check) Kind() string {
	switch {
	case c.Exec != nil:
		return "exec"
	case c.HTTP != nil:
		return "http"
	case c.SQL != nil:
		return "sql"
	case c.Job != nil:
		return "job"
	}
	return ""
}

// Images returns the images that the check needs besides those of the backup: the
// images of its Job.
func (c Check) Images() []string {
	if c.Job == nil {
		return nil
	}
	job, err := c.Job.Object()
	if err != nil {
		return nil // Validate reports it
	}
	var out []string
	for _, containers := range [][]corev1.Container{job.Spec.Template.Spec.InitContainers, job.Spec.Template.Spec.Containers} {
		for _, container := range containers {
			out = append(out, container.Image)
		}
	}
	return out
}

// Object is the manifest as a Job, read strictly.
func (j Job) Object() (batchv1.Job, error) {
	var job batchv1.Job
	text, err := json.Marshal(j.Manifest)
	if err != nil {
		return job, err
	}
	unknown, err := kubejson.UnmarshalStrict(text, &job)
	if err != nil {
		return job, err
	}
	if len(unknown) > 0 {
		var all []string
		for _, u := range unknown {
			all = append(all, u.Error())
		}
		return job, fmt.Errorf("%s", strings.Join(all, ", "))
	}
	return job, nil
}

func validateChecks(m *mistakes, at *field.Path, checks []Check) {
	if len(checks) > MaxChecks {
		m.add(at, "are %d: must be at most %d", len(checks), MaxChecks)
		return
	}
	names := make([]string, len(checks))
	for i, c := range checks {
		c.validate(m, at.Index(i))
		names[i] = c.Name
	}
	first := map[string]int{}
	for i, n := range names {
		if j, ok := first[n]; ok && n != "" {
			m.add(at.Index(i).Child("name"), "%q: is the name of %s already", n, at.Index(j))
			continue
		}
		first[n] = i
	}
}

func (c Check) validate(m *mistakes, at *field.Path) {
	name(m, at.Child("name"), c.Name, validation.IsDNS1123Label)
	upTo(m, at.Child("timeout"), c.Timeout, MaxCheckTimeout)
	oneOf(m, at, []option{{"exec", c.Exec != nil}, {"http", c.HTTP != nil}, {"sql", c.SQL != nil}, {"job", c.Job != nil}})
	if c.Exec != nil {
		c.Exec.validate(m, at.Child("exec"))
	}
	if c.HTTP != nil {
		c.HTTP.validate(m, at.Child("http"))
	}
	if c.SQL != nil {
		c.SQL.validate(m, at.Child("sql"))
	}
	if c.Job != nil {
		c.Job.validate(m, at.Child("job"))
	}
	c.Expect.validate(m, at.Child("expect"), c)
}

// option is a field of which one is to be set.
type option struct {
	name string
	set  bool
}

func oneOf(m *mistakes, at *field.Path, options []option) {
	var all, set []string
	for _, o := range options {
		all = append(all, o.name)
		if o.set {
			set = append(set, o.name)
		}
	}
	switch len(set) {
	case 1:
	case 0:
		m.add(at, "must have one of %s", either(all))
	default:
		m.add(at, "has %s: must have exactly one of %s", strings.Join(set, " and "), either(all))
	}
}

func (t Target) validate(m *mistakes, at *field.Path) {
	name(m, at.Child("namespace"), t.Namespace, validation.IsDNS1123Label)
	oneOf(m, at, []option{{"pod", t.Pod != ""}, {"selector", t.Selector != ""}, {"workload", t.Workload != ""}})
	if t.Pod != "" {
		name(m, at.Child("pod"), t.Pod, validation.IsDNS1123Subdomain)
	}
	if t.Selector != "" {
		if s, err := labels.Parse(t.Selector); err != nil {
			m.add(at.Child("selector"), "%q: %s", t.Selector, err)
		} else if s.Empty() {
			m.add(at.Child("selector"), "%q: selects every pod", t.Selector)
		}
	}
	if t.Workload != "" {
		kind, workload, ok := strings.Cut(t.Workload, "/")
		if !ok {
			m.add(at.Child("workload"), "%q: must be kind/name, such as deployment/web", t.Workload)
		} else {
			enum(m, at.Child("workload"), kind, Deployment, StatefulSet, DaemonSet)
			name(m, at.Child("workload"), workload, validation.IsDNS1123Subdomain)
		}
	}
	if t.Container != "" {
		name(m, at.Child("container"), t.Container, validation.IsDNS1123Label)
	}
}

func (e Exec) validate(m *mistakes, at *field.Path) {
	e.Target.validate(m, at)
	if len(e.Command) == 0 || e.Command[0] == "" {
		m.add(at.Child("command"), "is required: the program and its arguments, as a list")
	}
	text(m, at.Child("command"), strings.Join(e.Command, " "))
	text(m, at.Child("stdin"), e.Stdin)
}

// headerWord is a token of RFC 9110, section 5.6.2.
var headerWord = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// secretHeaders carry credentials, whatever their value is.
var secretHeaders = regexp.MustCompile(`(?i)^(authorization|proxy-authorization|cookie|x-api-key|x-auth-token)$`)

func (h HTTP) validate(m *mistakes, at *field.Path) {
	name(m, at.Child("namespace"), h.Namespace, validation.IsDNS1123Label)
	name(m, at.Child("service"), h.Service, validation.IsDNS1035Label)
	if h.Port.Type == intstr.String {
		name(m, at.Child("port"), h.Port.StrVal, validation.IsDNS1123Label)
	} else {
		within(m, at.Child("port"), h.Port.IntValue(), 1, 65535)
	}
	enum(m, at.Child("scheme"), h.Scheme, "http", "https")
	enum(m, at.Child("method"), h.Method, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
	if u, err := url.ParseRequestURI(h.Path); err != nil || !strings.HasPrefix(h.Path, "/") || u.Fragment != "" {
		m.add(at.Child("path"), "%q: must begin with / and be a path, with a query at most", h.Path)
	}
	for _, header := range sortedKeys(h.Headers) {
		child := at.Child("headers").Key(header)
		if !headerWord.MatchString(header) {
			m.add(child, "is not the name of a header")
		}
		h.Headers[header].validate(m, child, secretHeaders.MatchString(header))
	}
	text(m, at.Child("body"), h.Body)
}

func (q SQL) validate(m *mistakes, at *field.Path) {
	q.Target.validate(m, at)
	enum(m, at.Child("driver"), q.Driver, Postgres, MySQL, SQLite)
	if strings.HasPrefix(q.Database, "-") || strings.ContainsAny(q.Database, "\x00\n") {
		m.add(at.Child("database"), "%q: must not begin with - and be one line", q.Database)
	}
	if q.Driver == SQLite {
		if q.Database == "" {
			m.add(at.Child("database"), "is required for sqlite: the path of the file in the container")
		}
	}
	q.credential(m, at.Child("user"), q.User, false)
	q.credential(m, at.Child("password"), q.Password, true)
	if strings.TrimSpace(q.Query) == "" {
		m.add(at.Child("query"), "is required")
	}
	text(m, at.Child("query"), q.Query)
}

func (q SQL) credential(m *mistakes, at *field.Path, v Value, secret bool) {
	switch {
	case v == (Value{}):
	case q.Driver == SQLite:
		m.add(at, "sqlite has no users and passwords")
	default:
		v.validate(m, at, secret)
	}
}

var envWord = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (v Value) validate(m *mistakes, at *field.Path, secret bool) {
	if secret && v.Value != "" {
		m.add(at.Child("value"), "a policy must not contain a secret: refer to it by secretKeyRef, env or file")
		return
	}
	oneOf(m, at, []option{{"value", v.Value != ""}, {"secretKeyRef", v.SecretKeyRef != nil}, {"env", v.Env != ""}, {"file", v.File != ""}})
	if strings.ContainsAny(v.Value, "\r\n\x00") {
		m.add(at.Child("value"), "%q: must be one line", v.Value)
	}
	if r := v.SecretKeyRef; r != nil {
		name(m, at.Child("secretKeyRef", "name"), r.Name, validation.IsDNS1123Subdomain)
		name(m, at.Child("secretKeyRef", "key"), r.Key, validation.IsConfigMapKey)
	}
	if v.Env != "" && !envWord.MatchString(v.Env) {
		m.add(at.Child("env"), "%q: is not the name of a variable", v.Env)
	}
}

func (j Job) validate(m *mistakes, at *field.Path) {
	oneOf(m, at, []option{{"manifest", j.Manifest != nil}, {"manifestFile", j.ManifestFile != ""}})
	if j.Manifest != nil {
		checkJob(m, at.Child("manifest"), j.Manifest)
	}
}

// checkJob judges a manifest; at is nil when it is a file of its own.
func checkJob(m *mistakes, at *field.Path, manifest map[string]any) {
	under := func(names ...string) *field.Path {
		if at == nil {
			return field.NewPath(names[0], names[1:]...)
		}
		return at.Child(names[0], names[1:]...)
	}
	if manifest["apiVersion"] != "batch/v1" || manifest["kind"] != "Job" {
		m.add(at, "is apiVersion %s, kind %s: must be batch/v1 and Job", show(manifest["apiVersion"]), show(manifest["kind"]))
		return
	}
	job, err := Job{Manifest: manifest}.Object()
	if err != nil {
		m.add(at, "is not a valid Job: %s", err)
		return
	}
	name(m, under("metadata", "namespace"), job.Namespace, validation.IsDNS1123Label)
	if job.Name != "" {
		name(m, under("metadata", "name"), job.Name, validation.IsDNS1123Subdomain)
	}
	pod := job.Spec.Template.Spec
	if len(pod.Containers) == 0 {
		m.add(under("spec", "template", "spec", "containers"), "are required")
	}
	for i, c := range pod.Containers {
		image(m, under("spec", "template", "spec", "containers").Index(i).Child("image"), c.Image)
	}
	enum(m, under("spec", "template", "spec", "restartPolicy"), pod.RestartPolicy, corev1.RestartPolicyNever, corev1.RestartPolicyOnFailure)
	if job.Spec.Suspend != nil && *job.Spec.Suspend {
		m.add(under("spec", "suspend"), "true: the Job would never run")
	}
}

func (e Expect) validate(m *mistakes, at *field.Path, c Check) {
	if e.ExitCode != nil {
		within(m, at.Child("exitCode"), *e.ExitCode, 0, 255)
		if c.HTTP != nil {
			m.add(at.Child("exitCode"), "an HTTP answer has no exit code: use status")
		}
	}
	if e.Status != nil {
		within(m, at.Child("status"), *e.Status, 100, 599)
		if c.HTTP == nil && c.Kind() != "" {
			m.add(at.Child("status"), "only http has a status: use exitCode")
		}
	}
	if e.Output != nil {
		e.Output.validate(m, at.Child("output"))
	}
	for i, j := range e.JSONPath {
		if _, err := cluster.ParseJSONPath(j.Path); err != nil {
			m.add(at.Child("jsonPath").Index(i).Child("path"), "%s", err)
		}
	}
	if e.Within != nil {
		upTo(m, at.Child("within"), *e.Within, MaxCheckTimeout)
		if e.Within.Duration > c.Timeout.Duration {
			m.add(at.Child("within"), "%s: is longer than the check's timeout, %s", e.Within, c.Timeout)
		}
	}
}

func (o Output) validate(m *mistakes, at *field.Path) {
	if o.Equals == nil && o.Contains == "" && o.Matches == "" && o.Min == nil && o.Max == nil {
		m.add(at, "expects nothing: must have equals, contains, matches, min or max")
	}
	if o.Matches != "" {
		if _, err := regexp.Compile(o.Matches); err != nil {
			m.add(at.Child("matches"), "%q: is not a regular expression (RE2): %s", o.Matches, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
	}
	if o.Min != nil && o.Max != nil && *o.Min > *o.Max {
		m.add(at.Child("min"), "%v: is more than max, %v", *o.Min, *o.Max)
	}
}

// String is what a target means, as findings call it.
func (t Target) String() string {
	switch {
	case t.Workload != "":
		r, name := t.Resource()
		return r.GroupResource() + " " + t.Namespace + "/" + name
	case t.Selector != "":
		return "pods " + t.Namespace + " (" + t.Selector + ")"
	}
	return "pods " + t.Namespace + "/" + t.Pod
}

// Resource is the kind and the name of the workload that a target names.
func (t Target) Resource() (r item.Resource, name string) {
	kind, name, _ := strings.Cut(t.Workload, "/")
	r = item.Resource{Group: "apps", Version: "v1", Namespaced: true}
	switch kind {
	case Deployment:
		r.Name, r.Kind = "deployments", "Deployment"
	case StatefulSet:
		r.Name, r.Kind = "statefulsets", "StatefulSet"
	case DaemonSet:
		r.Name, r.Kind = "daemonsets", "DaemonSet"
	}
	return r, name
}
