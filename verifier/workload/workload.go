// Package workload decides whether what was restored runs: it adapts objects to a
// sandbox of one node, and reports for workloads, claims, Services, webhooks and
// aggregated APIs whether they came up, why not, and whether that is the fault of
// the backup or of the sandbox.
//
// Gather does all the reading. Decide is a function of what was gathered, and can
// be called again until there is nothing left to wait for.
//
// A reason is proof if it shows by itself that something is missing in the backup
// or wrong with it (a missing ConfigMap), a symptom if it could also come from the
// sandbox (a crash), and environment otherwise (an image that is not available).
// What is not proven: that a workload does its work. The checks of the policy can
// prove that.
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
	// Running is not wrong, only not finished: a Job that takes long.
	Running Class = iota
	// Consequence follows from another problem and means nothing by itself.
	Consequence
	// Environment is the sandbox's: it proves nothing about the backup.
	Environment
	// Symptom is the backup's fault if the environment is complete.
	Symptom
	// Proof is the backup's fault in any case.
	Proof
)

// Problem is one thing that is wrong, or not ready yet.
type Problem struct {
	Check   string
	Object  item.Key
	Class   Class
	Message string
	// Final means that waiting does not fix it.
	Final bool
	// Log, if set, names a container whose last lines explain more.
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

// Settled reports whether waiting cannot change anything.
func (d Decision) Settled() bool {
	return !slices.ContainsFunc(d.Problems, func(p Problem) bool { return !p.Final })
}

// Settle separates the backup's faults from the environment's when the time is
// over. A symptom counts as the backup's only if the environment is complete: an
// application may crash because the image of its database is missing.
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
