// Package workload decides whether what was restored runs: it fits objects to
// a sandbox of one node, and says of workloads, claims, Services, webhooks and
// aggregated APIs whether they came up, and if not, why, and whether that is
// the backup's fault or the sandbox's.
//
// Gather does all the reading. Decide is a function of what was gathered, and
// may be asked again until nothing is left to wait for.
//
// A reason is proof when it shows by itself that something is missing in the
// backup or wrong with it (a ConfigMap that is not there), a symptom when it
// could also come from the sandbox (a crash), and the environment's otherwise
// (an image that cannot be had). What is not proven: that a workload does its
// work; that is for the checks of the policy.
package workload

import (
	"cmp"
	"slices"

	"github.com/lifeboat-backup/lifeboat/core/item"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// The checks of the level kind. Evidence and waivers carry these names.
const (
	CheckWorkloads   = "workloads_ready"
	CheckServices    = "services_have_endpoints"
	CheckClaims      = "claims_bound"
	CheckWebhooks    = "webhooks_answer"
	CheckAPIServices = "apiservices_available"
	CheckDefinitions = "crds_established"
)

// Checks are the names above in the order in which they are reported.
func Checks() []string {
	return []string{CheckWorkloads, CheckServices, CheckClaims, CheckWebhooks, CheckAPIServices, CheckDefinitions}
}

// Class is what a problem means for the backup.
type Class int

// The classes.
const (
	// Running is not wrong, only not at its end: a Job that takes its time.
	Running Class = iota
	// Consequence follows from another problem and says nothing by itself.
	Consequence
	// Environment is the sandbox's: it proves nothing about the backup.
	Environment
	// Symptom is the backup's fault where the environment is whole.
	Symptom
	// Proof is the backup's fault in any case.
	Proof
)

// Problem is one thing that is not as it should be, or not yet.
type Problem struct {
	Check   string
	Object  item.Key
	Class   Class
	Message string
	// Final means that waiting does not fix it.
	Final bool
	// Log, when set, is of a container whose last lines say more.
	Log *Log
}

// Log names the log of a container.
type Log struct {
	Namespace, Pod, Container string
	Previous                  bool
}

// Decision is what was seen of all that was asked.
type Decision struct {
	Problems []Problem
	// Asked counts, per check, what it looked at.
	Asked map[string]int
	// Idle counts the DaemonSets that no node of the sandbox asks for: they are
	// as they should be, and nothing of them has run.
	Idle int
}

// Settled reports whether waiting can change nothing any more.
func (d Decision) Settled() bool {
	return !slices.ContainsFunc(d.Problems, func(p Problem) bool { return !p.Final })
}

// Settle tells the backup's faults from the environment's when the time is
// over. A symptom counts as the backup's only if the environment is whole: an
// application may crash because the image of its database is not there.
func Settle(problems []Problem) (findings, environment []report.Finding) {
	whole := !slices.ContainsFunc(problems, func(p Problem) bool { return p.Class == Environment })
	for _, p := range problems {
		f := report.Finding{Check: p.Check, Object: p.Object.String(), Message: p.Message}
		switch {
		case p.Class == Proof, p.Class == Symptom && whole:
			findings = append(findings, f)
		case p.Class == Symptom:
			f.Message += " (possibly because the sandbox lacks something)"
			environment = append(environment, f)
		case p.Class != Running:
			environment = append(environment, f)
		}
	}
	for _, list := range [][]report.Finding{findings, environment} {
		slices.SortStableFunc(list, func(a, b report.Finding) int {
			return cmp.Or(cmp.Compare(slices.Index(Checks(), a.Check), slices.Index(Checks(), b.Check)), cmp.Compare(a.Object, b.Object))
		})
	}
	return findings, environment
}
