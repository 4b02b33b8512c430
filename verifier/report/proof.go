package report

import (
	"fmt"
	"strings"
)

// Proven describes what the drill proved: nothing, unless it passed.
func (r Report) Proven() []string {
	if r.Verdict != Passed {
		return nil
	}
	files := "Every file of the backup is there and readable, and the files agree with each other as far as Velero's format allows a comparison."
	if r.Backup.Manifest {
		files = "Every file and every item of the backup is there and matches its SHA-256 digest."
	}
	out := []string{files}
	if r.Level.Proves(LevelControlPlane) {
		apart := ""
		if len(r.Changed) > 0 {
			apart = ", apart from what the sandbox changed on purpose"
		}
		if n := r.Items.Altered; n > 0 {
			apart += fmt.Sprintf(", apart from %s that the admission of the sandbox changed", count(n, "object"))
		}
		out = append(out, fmt.Sprintf("A real API server of Kubernetes %s accepted all %d expected objects, and each was equal to the backup when it was read back%s.",
			r.Versions.Kubernetes, r.Items.Expected, apart))
	}
	if r.Level.Proves(LevelKind) {
		out = append(out, "The restored workloads ran in an ephemeral cluster, closed to the outside except for what its policy allows, and passed every check of this level.")
	}
	if asked := r.asked(); len(asked) > 0 {
		out = append(out, fmt.Sprintf("%s of the policy passed: %s.", count(len(asked), "check"), strings.Join(asked, ", ")))
	}
	return out
}

// asked are the names of the checks that the policy asked for.
func (r Report) asked() []string {
	var out []string
	for _, c := range r.Checks {
		if c.Kind != "" {
			out = append(out, c.Name)
		}
	}
	return out
}

// count is a number and its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Group is what one check found.
type Group struct {
	Check    string
	Findings []Finding
}

// groups sorts findings by their check, in the order in which the checks first
// appear; the order within a check stays.
func groups(findings []Finding) []Group {
	var out []Group
	at := map[string]int{}
	for _, f := range findings {
		i, ok := at[f.Check]
		if !ok {
			i = len(out)
			at[f.Check] = i
			out = append(out, Group{Check: f.Check})
		}
		out[i].Findings = append(out[i].Findings, f)
	}
	return out
}

// Printable makes characters visible that would change how the text around them
// is shown, or that no document may hold: what a drill reports was written by
// whoever made the backup, and evidence is to be read as it is.
func Printable(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t':
			return c
		case c < ' ' || c >= 0x7f && c < 0xa0, // control
			c >= 0x200b && c <= 0x200f, // without width, and marks of direction
			c >= 0x2028 && c <= 0x202e, // line ends, and directions
			c >= 0x2060 && c <= 0x206f, // without width, and isolates
			c == 0xfeff, c == 0x061c,   // byte order mark, Arabic letter mark
			c >= 0xfff9 && c <= 0xfffb,   // annotations
			c >= 0xe0000 && c <= 0xe007f: // tags
			return '\ufffd'
		}
		return c
	}, s)
}
