package plan

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-backup/lifeboat/core/filter"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

func TestWhatTheControlPlaneDependsOnIsNotChanged(t *testing.T) {
	const bootstrap = `"metadata":{"labels":{"kubernetes.io/bootstrapping":"rbac-defaults"}}`
	for name, c := range map[string]struct {
		what, more string
		protected  bool
	}{
		"a role that the API server reconciles":   {"rbac.authorization.k8s.io/v1 ClusterRole clusterroles system:kube-scheduler", bootstrap, true},
		"a binding that it reconciles":            {"rbac.authorization.k8s.io/v1 RoleBinding rolebindings kube-system/system:controller:cloud-provider", bootstrap, true},
		"a role with such a name of the user":     {"rbac.authorization.k8s.io/v1 ClusterRole clusterroles system:mine", "", false},
		"a labelled object of another group":      {"v1 ConfigMap configmaps shop/a", bootstrap, false},
		"a binding of kubeadm":                    {"rbac.authorization.k8s.io/v1 ClusterRoleBinding clusterrolebindings kubeadm:get-nodes", "", true},
		"the kubeconfig of kube-proxy":            {"v1 ConfigMap configmaps kube-system/kube-proxy", "", true},
		"the address of the cluster":              {"v1 ConfigMap configmaps kube-public/cluster-info", "", true},
		"the kubelet's configuration before 1.24": {"v1 ConfigMap configmaps kube-system/kubelet-config-1.23", "", true},
		"a ConfigMap of that name elsewhere":      {"v1 ConfigMap configmaps shop/kube-proxy", "", false},
		"the nodes of EKS":                        {"v1 ConfigMap configmaps kube-system/aws-auth", "", true},
		"the keys of kubeadm":                     {"v1 Secret secrets kube-system/kubeadm-certs", "", true},
		"a flow schema of the API server":         {"flowcontrol.apiserver.k8s.io/v1 FlowSchema flowschemas exempt", `"metadata":{"annotations":{"apf.kubernetes.io/autoupdate-spec":"true"}}`, true},
		"a flow schema of the user":               {"flowcontrol.apiserver.k8s.io/v1 FlowSchema flowschemas mine", `"metadata":{"annotations":{"apf.kubernetes.io/autoupdate-spec":"false"}}`, false},
		"another ConfigMap of kube-system":        {"v1 ConfigMap configmaps kube-system/kube-proxy-extra", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			it := object(t, c.what, c.more)
			decided := func(o Options) Step {
				e, err := Examine(it, o)
				require.NoError(t, err)
				seen := everything()
				seen.Served[it.Key.GroupResource()] = []string{it.Version}
				seen.Existing[it.Key] = Live{Digest: Digest{1}}
				return o.Build("b", []Entry{e}, seen).Steps[0]
			}
			for _, policy := range []Policy{PolicyUpdate, PolicyRecreate} {
				s := decided(Options{ExistingResourcePolicy: policy})
				assert.Equal(t, c.protected, s.Action == Skip && s.Reason == ReasonProtected, "%s: %s", s.Action, s.Reason)
			}
			named := filter.Filter{IncludedResources: []string{it.Key.GroupResource()}}
			if it.Key.Namespace != "" {
				named.IncludedNamespaces = []string{it.Key.Namespace}
			}
			assert.Equal(t, Update, decided(Options{ExistingResourcePolicy: PolicyUpdate, Filter: named}).Action, "asked for by name")
		})
	}
}

func TestWhatTheControlPlaneDependsOnIsCreatedWhereItIsMissing(t *testing.T) {
	it := object(t, "v1 ConfigMap configmaps kube-system/kube-proxy", "")
	p := Options{}.Build("b", entries(t, filter.Filter{}, it), everything())
	i := p.Steps[len(p.Steps)-1]
	assert.Equal(t, item.Key{Resource: "configmaps", Namespace: "kube-system", Name: "kube-proxy"}, i.Key)
	assert.Equal(t, Create, i.Action)
}

func TestWhatTheTargetReconcilesIsNotChanged(t *testing.T) {
	it := object(t, "rbac.authorization.k8s.io/v1 ClusterRole clusterroles edit", `"rules":[]`)
	seen := everything()
	seen.Served[it.Key.GroupResource()] = []string{"v1"}
	live, err := object(t, "rbac.authorization.k8s.io/v1 ClusterRole clusterroles edit", `"metadata":{"labels":{"kubernetes.io/bootstrapping":"rbac-defaults"}}`).Object()
	require.NoError(t, err)
	seen.Existing[it.Key], err = Options{}.Live(live, "rbac.authorization.k8s.io/v1")
	require.NoError(t, err)
	s := build(t, Options{ExistingResourcePolicy: PolicyUpdate}, seen, it).Steps[0]
	assert.Equal(t, Skip, s.Action, "the mark is missing in the backup only")
	assert.Equal(t, ReasonProtected, s.Reason)
}

func TestAMappingLeadsToProtectedObjectsOrAwayFromThem(t *testing.T) {
	proxy := object(t, "v1 ConfigMap configmaps kube-system/kube-proxy", "")
	step := func(it item.Item, mapping map[string]string) Step {
		seen := everything()
		seen.Existing[Options{NamespaceMapping: mapping}.Target(it.Key)] = Live{Digest: Digest{1}}
		return stepOf(t, build(t, Options{ExistingResourcePolicy: PolicyUpdate, NamespaceMapping: mapping}, seen, it), it.Key)
	}
	assert.Equal(t, Update, step(proxy, map[string]string{"kube-system": "copy"}).Action)
	assert.Equal(t, ReasonProtected, step(object(t, "v1 ConfigMap configmaps old/kube-proxy", ""), map[string]string{"old": "kube-system"}).Reason)
}
