package apply

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// inspect compares the answer to a creation with what was sent, and notes in the
// change what the cluster made of it. Answers of another version than the backup
// holds are not compared: a conversion may rename fields.
func (a *Applier) inspect(c *Change, w Work, answer []byte) error {
	if w.Step.Bare || w.Step.Held != "" && !a.Digests {
		return nil
	}
	var u unstructured.Unstructured
	if err := u.UnmarshalJSON(answer); err != nil {
		return fmt.Errorf("read the answer to the creation of %s: %w", w.Step.Key, err)
	}
	if w.Step.GroupResource() == "pods" {
		if err := a.inspectComputed(c, w, &u); err != nil {
			return err
		}
	}
	made, err := a.Options.LiveDigest(&u, heldAPIVersion(w.Step)) // normalises u
	if err != nil {
		return err
	}
	if made != w.Step.Digest && w.Step.Held == "" {
		if c.Altered, err = a.alterations(w, &u); err != nil {
			return err
		}
		if len(c.Altered) == 0 { // it is as it was sent, without what is withheld
			made = w.Step.Digest
		}
	}
	if a.Digests || len(c.Altered) > 0 {
		c.Made = &made
	}
	return nil
}

func (a *Applier) inspectComputed(c *Change, w Work, answer *unstructured.Unstructured) error {
	was, err := w.Item.Object()
	if err != nil {
		return err
	}
	c.Computed = plan.ComputedOf(was).Alterations(plan.ComputedOf(answer), a.Hide)
	return nil
}

// alterations compares an answer, normalised, with what was sent.
func (a *Applier) alterations(w Work, answer *unstructured.Unstructured) ([]plan.Alteration, error) {
	sent, err := a.wanted(w)
	if err != nil {
		return nil, err
	}
	plan.Withhold(sent, w.Step.GroupResource(), a.Backup)
	return plan.Alterations(sent, answer, w.Step.GroupResource(), a.Hide), nil
}
