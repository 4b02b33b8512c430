package apply

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-backup/lifeboat/core/plan"
)

func invalidBoat() error {
	return apierrors.NewInvalid(schema.GroupKind{Kind: "Boat"}, "a", nil)
}

// TestAStatusThatTheSchemaRequires is sent only when the object is refused
// without it.
func TestAStatusThatTheSchemaRequires(t *testing.T) {
	w := newWorld()
	w.before = func(_ string, n int) error {
		if n == 1 {
			return invalidBoat()
		}
		return nil
	}
	step := configMap(t, "a")
	step.Item.Raw = []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop","generateName":"a-"},"status":{"phase":"Up"},"data":{"a":"b"}}`)
	changes, err := (&Applier{Cluster: w, Backup: "b", Restore: "r"}).Run(t.Context(), []Work{step})
	require.NoError(t, err)
	assert.Equal(t, Created, changes[0].Outcome)
	assert.Equal(t, "absent; created with its status and generateName, which its schema requires", changes[0].Reason)
	assert.Equal(t, map[string]any{"phase": "Up"}, w.objects[cmA]["status"])
	assert.Equal(t, []string{"POST " + cmA, "POST " + cmA}, w.asked)
}

func TestAnInvalidObjectWithoutAStatusIsSentOnce(t *testing.T) {
	w := newWorld()
	w.before = func(string, int) error { return invalidBoat() }
	changes, err := (&Applier{Cluster: w, Backup: "b", Restore: "r"}).Run(t.Context(), []Work{configMap(t, "a")})
	require.NoError(t, err)
	assert.Equal(t, Failed, changes[0].Outcome)
	assert.Equal(t, []string{"POST " + cmA}, w.asked)
}

func TestWhatTheAPIServerWouldSayToACreation(t *testing.T) {
	for name, c := range map[string]struct {
		answer error
		want   Ahead
	}{
		"it would accept it": {},
		"it exists by now":   {answer: apierrors.NewAlreadyExists(schema.GroupResource{}, "a")},
		"it would reject it": {answer: apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "a", errors.New("exceeded quota")),
			want: Ahead{Refusal: `configmaps "a" is forbidden: exceeded quota`}},
		"a webhook does not answer": {answer: apierrors.NewInternalError(errors.New("failed calling webhook")),
			want: Ahead{Untried: "a webhook that does not answer a dry run"}},
		"a webhook has side effects": {answer: apierrors.NewBadRequest("admission webhook x does not support dry run"),
			want: Ahead{Untried: "a webhook that does not answer a dry run"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.before = func(string, int) error { return c.answer }
			a := &Applier{Cluster: w, Backup: "b", Restore: "r", DryRun: true}
			got, err := a.TryCreation(t.Context(), configMap(t, "a"), plan.Plan{}.Ahead(plan.Observed{}))
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
			assert.Equal(t, []string{"POST " + cmA + " dryRun=All"}, w.asked)
		})
	}
}

func TestACreationThatNeedsWhatThePlanCreatesIsNotTried(t *testing.T) {
	w := newWorld()
	a := &Applier{Cluster: w, Backup: "b", Restore: "r", DryRun: true}
	account := work(t, 1, "serviceaccounts", "ServiceAccount", "shop", "crew", "")
	pod := work(t, 2, "pods", "Pod", "shop", "p", `"spec":{"serviceAccountName":"crew"}`)
	got, err := a.TryCreation(t.Context(), pod, plan.Plan{Steps: []plan.Step{account.Step}}.Ahead(plan.Observed{}))
	require.NoError(t, err)
	assert.Equal(t, "serviceaccounts shop/crew", got.Untried)
	assert.Empty(t, strings.Join(w.asked, ""))
}
