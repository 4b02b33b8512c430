package sabotage

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

// Result is what became of one case.
type Result struct {
	Case Case
	Seen []Seen // one per level that was run
}

// Outcome is the worst of the levels that were run, and the level it was at.
func (r Result) Outcome() (Outcome, report.Level) {
	best, at := Right, report.Level("")
	for _, s := range r.Seen {
		o := r.Case.Want.Judge(s)
		if !o.Good() {
			return o, s.Level
		}
		if o == Caught && best == Right {
			best, at = o, s.Level
		}
	}
	return best, at
}

// healthy says that nothing was done to the backup or its surroundings that a
// level could see.
func (r Result) healthy() bool { return r.Case.Want.Level == "" }

// Totals counts results.
type Totals struct {
	Backups      int             `json:"backups"`      // that are bad
	Surroundings int             `json:"surroundings"` // that fail
	Hostile      int             `json:"hostile"`      // archives
	Beyond       int             `json:"beyond"`       // bad, and no level can see it
	Healthy      int             `json:"healthy"`
	Caught       map[string]int  `json:"caught"`    // by the level that was the first to see it
	Unsettled    int             `json:"unsettled"` // the level that can see it was not run
	Outcomes     map[Outcome]int `json:"outcomes"`
	Drills       int             `json:"drills"`
	Seconds      float64         `json:"seconds"` // of all drills together
}

// Sum makes the totals.
func Sum(results []Result) Totals {
	t := Totals{Caught: map[string]int{}, Outcomes: map[Outcome]int{}}
	for _, r := range results {
		o, level := r.Outcome()
		switch {
		case r.Case.Want.Beyond:
			t.Beyond++
		case r.healthy():
			t.Healthy++
		case strings.HasPrefix(r.Case.Name, hostile):
			t.Hostile++
		case r.Case.Want.Verdict == report.Error:
			t.Surroundings++
		default:
			t.Backups++
		}
		switch {
		case o == Caught:
			t.Caught[string(level)]++
		case o == Right && !r.healthy():
			t.Unsettled++
		}
		t.Outcomes[o]++
		t.Drills += len(r.Seen)
		for _, s := range r.Seen {
			t.Seconds += s.Seconds
		}
	}
	return t
}

// String is the totals in a line.
func (t Totals) String() string {
	return fmt.Sprintf("%d bad backups, %d failing surroundings, %d hostile archives: %d caught at integrity, %d at controlplane, %d at kind, %d wait for a level that was not run; "+
		"%d missed, %d misnamed, %d confused; %d that no level can see. %d healthy backups: %d false alarms. %d drills, %.0f s",
		t.Backups, t.Surroundings, t.Hostile, t.Caught["integrity"], t.Caught["controlplane"], t.Caught["kind"], t.Unsettled,
		t.Outcomes[Missed], t.Outcomes[Misnamed], t.Outcomes[Confused], t.Beyond, t.Healthy, t.Outcomes[FalseAlarm], t.Drills, t.Seconds)
}

// Needed says for each check which cases no other check would have caught: a
// check without a sabotage proves nothing that is shown here.
func Needed(results []Result) map[string][]string {
	needed := map[string][]string{}
	for _, r := range results {
		for _, s := range r.Seen {
			found := map[string]bool{}
			for _, f := range s.Findings {
				found[f.Check] = true
			}
			if len(found) == 1 && r.Case.Want.Judge(s) == Caught {
				check := slices.Collect(maps.Keys(found))[0]
				needed[check] = append(needed[check], r.Case.String())
				break
			}
		}
	}
	return needed
}

// Write writes the table as Markdown.
func Write(w io.Writer, results []Result) error {
	var b strings.Builder
	b.WriteString("| case | from | expected | by | integrity | controlplane | kind | outcome |\n|---|---|---|---|---|---|---|---|\n")
	for _, r := range results {
		at := map[report.Level]string{}
		for _, s := range r.Seen {
			at[s.Level] = string(s.Verdict)
		}
		o, _ := r.Outcome()
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", r.Case.Name, r.Case.From, r.Case.Want, r.Case.Want.Finding.Check,
			at[report.LevelIntegrity], at[report.LevelControlPlane], at[report.LevelKind], o)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// line is a result as JSON has it.
type line struct {
	Case    string          `json:"case"`
	From    Source          `json:"from"`
	Level   report.Level    `json:"level,omitempty"`
	Verdict report.Verdict  `json:"verdict"`
	Finding *report.Finding `json:"finding,omitempty"`
	Outcome Outcome         `json:"outcome"`
	Seen    []Seen          `json:"seen"`
}

// Encode writes totals, results and what each check finds as JSON.
func Encode(w io.Writer, results []Result) error {
	lines := make([]line, len(results))
	for i, r := range results {
		o, _ := r.Outcome()
		lines[i] = line{Case: r.Case.Name, From: r.Case.From, Level: r.Case.Want.Level, Verdict: r.Case.Want.Verdict, Outcome: o, Seen: r.Seen}
		if lines[i].Verdict == "" {
			lines[i].Verdict = report.Passed
		}
		if r.Case.Want.Verdict != "" {
			lines[i].Finding = &r.Case.Want.Finding
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(map[string]any{"totals": Sum(results), "needed": Needed(results), "results": lines})
}
