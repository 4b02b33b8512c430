package policy

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Mistake is one thing that is wrong with a policy.
type Mistake struct {
	Field   string `json:"field,omitempty"` // path such as spec.checks[0].exec.command
	Message string `json:"message"`
}

func (m Mistake) String() string {
	if m.Field == "" {
		return m.Message
	}
	return m.Field + ": " + m.Message
}

// InvalidError lists every mistake of a policy: first those of its form, then those
// of its values, each in the order of the fields.
type InvalidError struct{ Mistakes []Mistake }

func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Mistakes))
	for i, m := range e.Mistakes {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// mistakes gathers what is wrong.
type mistakes []Mistake

// add adds one; at is nil for the policy as a whole.
func (m *mistakes) add(at *field.Path, format string, args ...any) {
	mistake := Mistake{Message: fmt.Sprintf(format, args...)}
	if at != nil {
		mistake.Field = at.String()
	}
	*m = append(*m, mistake)
}

// enum adds a mistake unless the value is one of the words.
func enum[T ~string](m *mistakes, at *field.Path, value T, words ...T) {
	if !slices.Contains(words, value) {
		m.add(at, "%q: must be %s%s", value, either(words), meant(string(value), words))
	}
}

// either is "a", "a or b", "a, b or c".
func either[T ~string](words []T) string {
	var b strings.Builder
	for i, w := range words {
		switch i {
		case 0:
		case len(words) - 1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}

// meant suggests the word that is nearest to what was written, if one is near.
func meant[T ~string](written string, words []T) string {
	best, least := "", 1+max(1, min(3, len(written)/3))
	for _, w := range words {
		if d := distance(strings.ToLower(written), strings.ToLower(string(w))); d < least {
			best, least = string(w), d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// longestWord bounds what is compared.
const longestWord = 64

// distance is the least number of letters to add, drop, change or swap with
// their neighbour (optimal string alignment).
func distance(a, b string) int {
	if len(a) > longestWord || len(b) > longestWord {
		return longestWord
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+change)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
