package apply

import (
	"errors"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/lifeboat-backup/lifeboat/core/plan"
)

// refusesClusterIP reports whether the API server cannot give a Service the
// cluster IP that its author wrote: another Service has it, or it is not in the
// cluster's range.
func refusesClusterIP(s plan.Step, err error) bool {
	var status apierrors.APIStatus
	if s.GroupResource() != "services" || !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	for _, c := range status.Status().Details.Causes {
		if !strings.HasPrefix(c.Field, "spec.clusterIP") {
			return false // it would be refused without, too
		}
	}
	return len(status.Status().Details.Causes) > 0
}
