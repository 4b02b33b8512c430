package sabotage

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/store"
	"github.com/lifeboat-backup/lifeboat/test/part"
	"github.com/lifeboat-backup/lifeboat/test/rig"
	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

func TestADrillIsJudgedByWhatItMustSay(t *testing.T) {
	bad := seenBy(report.LevelControlPlane, "items_restored", "pods a/b", "refused")
	broken := cannotTell(report.LevelControlPlane, "no program")
	named := []report.Finding{{Check: "items_equal"}, {Check: "items_restored", Object: "pods a/b", Message: "was refused"}}
	elsewhere := []report.Finding{{Check: "items_restored", Object: "pods a/c", Message: "was refused"}}
	for _, c := range []struct {
		why  string
		want Expectation
		seen Seen
		is   Outcome
	}{
		{"a level that cannot see it passes", bad, Seen{Level: "integrity", Verdict: "passed"}, Right},
		{"a level that cannot see it must not find anything", bad, Seen{Level: "integrity", Verdict: "failed", Findings: named}, FalseAlarm},
		{"the level that can see it finds it", bad, Seen{Level: "controlplane", Verdict: "failed", Findings: named}, Caught},
		{"so does one above", bad, Seen{Level: "kind", Verdict: "failed", Findings: named}, Caught},
		{"another finding is not the one", bad, Seen{Level: "controlplane", Verdict: "failed", Findings: elsewhere}, Misnamed},
		{"a bad backup passes", bad, Seen{Level: "controlplane", Verdict: "passed"}, Missed},
		{"a bad backup is taken for a drill that could not run", bad, Seen{Level: "controlplane", Verdict: "error"}, Confused},
		{"an environment that fails is an error", broken, Seen{Level: "controlplane", Verdict: "error", Summary: "there is no program"}, Caught},
		{"for the reason there is", broken, Seen{Level: "controlplane", Verdict: "error", Summary: "bad weather"}, Misnamed},
		{"an environment that fails and passes", broken, Seen{Level: "controlplane", Verdict: "passed"}, Missed},
		{"an environment that fails and the backup is blamed", broken, Seen{Level: "controlplane", Verdict: "failed", Findings: named}, FalseAlarm},
		{"a healthy backup passes", Expectation{}, Seen{Level: "kind", Verdict: "passed"}, Right},
		{"a healthy backup is blamed", Expectation{}, Seen{Level: "kind", Verdict: "failed", Findings: named}, FalseAlarm},
		{"a healthy backup cannot be drilled", Expectation{}, Seen{Level: "kind", Verdict: "error"}, Confused},
	} {
		assert.Equal(t, c.is, c.want.Judge(c.seen), c.why)
	}
}

func TestTheCorpusIsLargeAndEachCaseSaysWhatMustBeFound(t *testing.T) {
	names := map[string]bool{}
	bad, healthy := 0, 0
	for _, c := range All() {
		assert.False(t, names[c.String()], "%s is there twice", c)
		names[c.String()] = true
		switch c.Want.Verdict {
		case report.Failed:
			bad++
			assert.NotEmpty(t, c.Want.Finding.Check, c)
		case report.Error:
			assert.NotEmpty(t, c.Want.Finding.Message, c)
		default:
			if c.Want.Beyond {
				continue
			}
			healthy++
		}
	}
	assert.Greater(t, bad, 100)
	assert.GreaterOrEqual(t, healthy, 8)
}

// A sabotage that does nothing would not be caught and would prove nothing.
func TestASabotageThatChangesNothingIsAnError(t *testing.T) {
	healthy := Backup{Dir: rig.SmallBucket(t), Name: Veleros.name()}
	for why, spoil := range map[string]func(*Backup) error{
		"the file is as it was":   damage(store.Contents, func(b []byte) []byte { return b }),
		"the object is as it was": careless(alter("secrets notes/token", func(map[string]any) {})),
		"there is no such object": careless(remove("secrets notes/none")),
	} {
		b, err := healthy.Copy(t.TempDir())
		require.NoError(t, err)
		assert.Error(t, spoil(b), why)
	}
}

func TestResultsAreSummedUpByTheWorstOfTheirLevels(t *testing.T) {
	bad := Case{Name: "bad", From: Ours, Want: seenBy(report.LevelControlPlane, "items_restored", "pods a/b", "refused")}
	found := []report.Finding{{Check: "items_restored", Object: "pods a/b", Message: "refused"}}
	results := []Result{
		{bad, []Seen{{Level: "integrity", Verdict: "passed"}, {Level: "controlplane", Verdict: "failed", Findings: found}}},
		{bad, []Seen{{Level: "integrity", Verdict: "passed"}}},
		{bad, []Seen{{Level: "integrity", Verdict: "failed", Findings: found}, {Level: "controlplane", Verdict: "failed", Findings: found}}},
		{Case{Name: "healthy", From: Ours}, []Seen{{Level: "integrity", Verdict: "passed"}}},
	}
	sum := Sum(results)
	assert.Equal(t, 3, sum.Backups)
	assert.Equal(t, 1, sum.Healthy)
	assert.Equal(t, 1, sum.Unsettled, "the level that sees it was not run")
	assert.Equal(t, map[string]int{"controlplane": 1}, sum.Caught)
	assert.Equal(t, 1, sum.Outcomes[FalseAlarm])
	assert.Len(t, Needed(results)["items_restored"], 2)

	var table bytes.Buffer
	require.NoError(t, Write(&table, results))
	assert.Contains(t, table.String(), "| bad | Lifeboat | failed at controlplane | items_restored | passed | failed |  | caught |\n")
}

func TestEveryCaseIsDrilledAtItsLevelsByOneOfTheParts(t *testing.T) {
	cases := All()
	restored := make([]int, len(cases))
	for _, s := range []string{"1/3", "2/3", "3/3"} {
		for i, at := range levels(cases, parsed(t, s)) {
			require.Equal(t, report.LevelIntegrity, at[0])
			restored[i] += len(at) - 1
		}
	}
	for i, c := range cases {
		want := 1
		if c.Want.Level == report.LevelIntegrity {
			want = 3 // refused before there is a cluster
		}
		assert.Equal(t, want, restored[i], "%s", c)
	}
	for i, at := range levels(cases, part.Part{}) {
		assert.Len(t, at, 2, "%s", cases[i])
	}
}

func parsed(t *testing.T, s string) part.Part {
	t.Helper()
	p, err := part.Parse(s)
	require.NoError(t, err)
	return p
}
