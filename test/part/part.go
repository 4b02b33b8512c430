// Package part chooses the part of a long list of cases that one test run
// takes. The parts rotate from commit to commit (tools/part.sh), so that a few
// runs in a row take every case; a run that is not told a part takes them all.
package part

import (
	"fmt"
	"os"
	"testing"
)

// variable holds the part as "2/3": the second of three. The go command sees
// that a test reads it, and does not reuse the result of another part.
const variable = "LIFEBOAT_PART"

// Part is one of several parts of equal size. The zero value is the whole.
type Part struct {
	nth, of int
}

// Of is the part that this run takes.
func Of(t testing.TB) Part {
	t.Helper()
	p, err := Parse(os.Getenv(variable))
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return p
}

// Parse reads a part; "" is the whole.
func Parse(s string) (Part, error) {
	if s == "" {
		return Part{}, nil
	}
	var p Part
	if _, err := fmt.Sscanf(s, "%d/%d", &p.nth, &p.of); err != nil || p.nth < 1 || p.nth > p.of || s != p.String() {
		return Part{}, fmt.Errorf("%q is not a part such as 2/3", s)
	}
	return p, nil
}

// Whole says that the run takes every case.
func (p Part) Whole() bool { return p.of <= 1 }

// Takes says whether the run takes the case at an index, counted from 0. The
// parts of a list have no case in common and together are the list.
func (p Part) Takes(i int) bool { return p.Whole() || i%p.of == p.nth-1 }

// Some returns the cases of a list that this run takes, and logs which part of
// the list that is.
func Some[T any](t testing.TB, all []T) []T {
	t.Helper()
	p := Of(t)
	if p.Whole() {
		return all
	}
	var some []T
	for i, c := range all {
		if p.Takes(i) {
			some = append(some, c)
		}
	}
	t.Logf("part %s taken: %d of %d cases", p, len(some), len(all))
	return some
}

// String is how the variable and the log of a test show the part.
func (p Part) String() string {
	if p.Whole() {
		return "1/1"
	}
	return fmt.Sprintf("%d/%d", p.nth, p.of)
}
