package verifier

import (
	"context"
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifeboat-backup/lifeboat/core/catalog"
	"github.com/lifeboat-backup/lifeboat/core/cluster"
	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/verifier/probe"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// secretValues are the values of all Secrets of the sandbox. What runs there may
// print them: into a log, a termination message, or the answer to a check.
func secretValues(ctx context.Context, c *cluster.Client) ([]string, error) {
	var out []string
	var info cluster.ListInfo
	r := item.Resource{Version: "v1", Name: "secrets", Kind: "Secret", Namespaced: true}
	for it, err := range c.List(ctx, r, cluster.ListOptions{}, &info) {
		var s corev1.Secret
		if err == nil {
			err = json.Unmarshal(it.Raw, &s)
		}
		if err != nil {
			return nil, c.Explain(err)
		}
		for _, value := range s.Data {
			out = append(out, strings.TrimSpace(string(value)))
			for line := range strings.Lines(string(value)) { // a log shows a file by lines
				out = append(out, strings.TrimSpace(line))
			}
		}
	}
	return out, nil
}

// notShown replaces the answer that a check of the policy got from an encrypted
// backup: it may be anything that the backup holds.
const notShown = "not shown, because the backup is encrypted"

// withoutSecrets is a report in which no text repeats a value of a Secret. Of an
// encrypted backup, the answers to the checks of the policy are left out as well.
func withoutSecrets(rep report.Report, secrets []string, encrypted bool) report.Report {
	hide := probe.Hide(secrets)
	private := map[string]bool{}
	for i := range rep.Checks {
		c := &rep.Checks[i]
		if encrypted && c.Kind != "" {
			private[c.Name] = true
			c.Message, c.Output = "the answer is "+notShown, ""
		}
		c.Message, c.Output = hide(c.Message), hide(c.Output)
	}
	for i := range rep.Stages {
		rep.Stages[i].Error = hide(rep.Stages[i].Error)
	}
	finding := func(f *report.Finding) {
		if f.Message = hide(f.Message); private[f.Check] {
			f.Message = "the answer is " + notShown
		}
	}
	for i := range rep.Findings {
		finding(&rep.Findings[i])
	}
	for i := range rep.Environment {
		finding(&rep.Environment[i])
	}
	for i := range rep.Waived {
		finding(&rep.Waived[i].Finding)
	}
	return rep
}

// encrypted reports whether the backup that is drilled is encrypted.
func (r *run) encrypted() bool { return catalog.Encrypted(r.prepared.Metadata) }
