package verifier

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

func canaries() report.Report {
	const text = "login failed for CANARY/pass word, Q0FOQVJZL3Bhc3Mgd29yZA== and CANARY%2Fpass+word"
	f := report.Finding{Check: "pods_ready", Object: "pods shop/CANARY-named", Message: text}
	answered := report.Finding{Check: "check_rows", Message: "the output is \"4711 of CANARY\""}
	return report.Report{
		Checks: []report.Check{
			{Name: "pods_ready", Verdict: report.Failed, Message: text},
			{Name: "check_rows", Kind: "sql", Verdict: report.Failed, Message: answered.Message, Output: "4711"},
		},
		Stages: []report.Stage{{Name: "workloads", Error: text}}, Findings: []report.Finding{f, answered}, Environment: []report.Finding{f},
		Waived: []report.Waived{{Finding: f, Reason: "known"}},
	}
}

func TestAReportRepeatsNoValueOfASecret(t *testing.T) {
	got := withoutSecrets(canaries(), []string{"CANARY/pass word", "x", ""}, false)
	raw, err := json.Marshal(got)
	require.NoError(t, err)
	for _, form := range []string{"pass word", "Q0FOQVJZ", "CANARY%2F", "CANARY/"} {
		assert.NotContains(t, string(raw), form)
	}
	assert.Equal(t, "login failed for ***, *** and ***", got.Findings[0].Message)
	assert.Equal(t, "pods shop/CANARY-named", got.Findings[0].Object, "names stay")
	assert.Equal(t, "4711", got.Checks[1].Output, "an answer is what was asked for")
}

func TestAReportOfAnEncryptedBackupHasNoAnswers(t *testing.T) {
	got := withoutSecrets(canaries(), nil, true)
	assert.Equal(t, report.Check{Name: "check_rows", Kind: "sql", Verdict: report.Failed, Message: "the answer is not shown, because the backup is encrypted"}, got.Checks[1])
	assert.Equal(t, "the answer is not shown, because the backup is encrypted", got.Findings[1].Message)
	raw, err := json.Marshal(got)
	require.NoError(t, err)
	assert.NotContains(t, string(raw), "4711")
}
