package contract

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func TestTheClusterIsReadyWhenItSaysSo(t *testing.T) {
	c := start(t)
	client, _ := c.client(t)
	if c.PID != c.cmd.Process.Pid || c.Seconds <= 0 {
		t.Errorf("told pid %d and %v s", c.PID, c.Seconds)
	}
	info, err := client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if want := linkedVersion(t); info.GitVersion != want || c.Version != want {
		t.Errorf("server reports %s, the ready line %s, go.mod says %s", info.GitVersion, c.Version, want)
	}
	if info.Major+"."+info.Minor != strings.Join(strings.Split(linkedVersion(t)[1:], ".")[:2], ".") || info.GitTreeState != "clean" {
		t.Errorf("stamps: major %q, minor %q, tree %q", info.Major, info.Minor, info.GitTreeState)
	}
	// At once, without waiting: that is what ready means.
	if _, err := client.CoreV1().ServiceAccounts("default").Get(t.Context(), "default", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := client.CoreV1().ConfigMaps("default").Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

// TestItActsLikeARealCluster runs on one cluster; each case has a namespace of
// its own.
func TestItActsLikeARealCluster(t *testing.T) {
	c := start(t)
	client, config := c.client(t)

	t.Run("a namespace gets its service account and goes with all that is in it", func(t *testing.T) {
		ns := namespace(t, client, nil)
		eventually(t, 10*time.Second, "no default service account", serviceAccount(t, client, ns))
		claim := &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Name: "data"},
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
			},
		}
		claim, err := client.CoreV1().PersistentVolumeClaims(ns).Create(t.Context(), claim, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(claim.Finalizers) == 0 {
			t.Error("admission did not protect the claim")
		}
		if err := client.CoreV1().Namespaces().Delete(t.Context(), ns, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, 30*time.Second, "the namespace is still there", func() bool {
			_, err := client.CoreV1().Namespaces().Get(t.Context(), ns, metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		})
	})

	t.Run("what an owner owned is collected", func(t *testing.T) {
		ns := namespace(t, client, nil)
		owner := configMap(t, client, ns, "owner")
		owned := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owned", OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID},
		}}}
		if _, err := client.CoreV1().ConfigMaps(ns).Create(t.Context(), owned, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := client.CoreV1().ConfigMaps(ns).Delete(t.Context(), owner.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, 20*time.Second, "the owned object is still there", func() bool {
			_, err := client.CoreV1().ConfigMaps(ns).Get(t.Context(), owned.Name, metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		})
	})

	t.Run("workloads are kept, not run", func(t *testing.T) {
		ns := namespace(t, client, nil)
		one := int32(1)
		labels := map[string]string{"app": "web"}
		deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.DeploymentSpec{
			Replicas: &one, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod(false)},
		}}
		if _, err := client.AppsV1().Deployments(ns).Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		// A deployment controller would have acted before a later namespace is served.
		eventually(t, 10*time.Second, "no default service account", serviceAccount(t, client, namespace(t, client, nil)))
		sets, err := client.AppsV1().ReplicaSets(ns).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(sets.Items) > 0 {
			t.Error("a deployment was rolled out")
		}
	})

	t.Run("a quota counts and refuses", func(t *testing.T) {
		ns := namespace(t, client, nil)
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "few"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/secrets": resource.MustParse("1")}}}
		if _, err := client.CoreV1().ResourceQuotas(ns).Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, 20*time.Second, "the quota controller has not counted", func() bool {
			q, err := client.CoreV1().ResourceQuotas(ns).Get(t.Context(), "few", metav1.GetOptions{})
			return err == nil && len(q.Status.Used) > 0
		})
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{GenerateName: "s-"}}
		if _, err := client.CoreV1().Secrets(ns).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.CoreV1().Secrets(ns).Create(t.Context(), secret, metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("one above the quota: %v", err)
		}
	})

	t.Run("pod security is enforced where a namespace asks for it", func(t *testing.T) {
		restricted := namespace(t, client, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
		free := namespace(t, client, nil)
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: pod(true)}
		p.Spec.ServiceAccountName = "default"
		for _, ns := range []string{restricted, free} {
			eventually(t, 10*time.Second, "no default service account", serviceAccount(t, client, ns))
		}
		if _, err := client.CoreV1().Pods(restricted).Create(t.Context(), p, metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("a privileged pod in a restricted namespace: %v", err)
		}
		if _, err := client.CoreV1().Pods(free).Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
			t.Errorf("a privileged pod elsewhere: %v", err)
		}
	})

	t.Run("a cluster role gathers the rules it selects", func(t *testing.T) {
		selector := metav1.LabelSelector{MatchLabels: map[string]string{"gather": "yes"}}
		all := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "all"}, AggregationRule: &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{selector}}}
		part := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "part", Labels: selector.MatchLabels}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}}}
		for _, role := range []*rbacv1.ClusterRole{all, part} {
			if _, err := client.RbacV1().ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, 10*time.Second, "the rules were not gathered", func() bool {
			role, err := client.RbacV1().ClusterRoles().Get(t.Context(), "all", metav1.GetOptions{})
			return err == nil && len(role.Rules) == 1
		})
	})

	t.Run("strangers see nothing", func(t *testing.T) {
		stranger, err := kubernetes.NewForConfig(rest.AnonymousClientConfig(config))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stranger.Discovery().ServerVersion(); !apierrors.IsUnauthorized(err) {
			t.Errorf("the version for a stranger: %v", err)
		}
		if _, err := stranger.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsUnauthorized(err) {
			t.Errorf("secrets for a stranger: %v", err)
		}
	})
}

func TestARestoredWebhookReachesNothingOutside(t *testing.T) {
	for _, tc := range []struct {
		name    string
		flags   []string
		reached bool
	}{
		{"by default", nil, false},
		{"unless egress is allowed", []string{"--allow-egress"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			calls := make(chan struct{}, 10)
			outside := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls <- struct{}{}
				http.Error(w, "the answer is no", http.StatusForbidden)
			}))
			defer outside.Close()

			c := start(t, append(tc.flags, "--controllers", "none")...)
			client, _ := c.client(t)
			webhook(t, client, outside)
			var err error
			eventually(t, 10*time.Second, "the webhook is not asked at all", func() bool { // the API server takes it up within a second
				_, err = client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "x-"}}, metav1.CreateOptions{})
				return err != nil
			})
			if reached := len(calls) > 0; reached != tc.reached {
				t.Errorf("reached: %v, want %v (%v)", reached, tc.reached, err)
			}
			if refused := strings.Contains(err.Error(), "the sandbox lets no connection out"); refused == tc.reached {
				t.Errorf("the reason given: %v", err)
			}
		})
	}
}

func TestControllersAreChosenByTheParent(t *testing.T) {
	t.Run("none: no process of their own, no service account", func(t *testing.T) {
		c := start(t, "--controllers", "none")
		if children := c.children(t); len(children) > 0 {
			t.Errorf("has children %v", children)
		}
		client, _ := c.client(t)
		if _, err := client.CoreV1().ServiceAccounts("default").Get(t.Context(), "default", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("service account: %v", err)
		}
	})
	t.Run("the default ones and another one, by its old name", func(t *testing.T) {
		c := start(t, "--controllers", "default,-resourcequota,deployment")
		client, _ := c.client(t)
		labels := map[string]string{"app": "web"}
		deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod(false)},
		}}
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "few"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/secrets": resource.MustParse("1")}}}
		if _, err := client.CoreV1().ResourceQuotas("default").Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.AppsV1().Deployments("default").Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, "the deployment has no replica set", func() bool {
			sets, err := client.AppsV1().ReplicaSets("default").List(t.Context(), metav1.ListOptions{})
			return err == nil && len(sets.Items) == 1
		})
		q, err := client.CoreV1().ResourceQuotas("default").Get(t.Context(), "few", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(q.Status.Used) > 0 {
			t.Error("the controller that was left out counted a quota")
		}
	})
}

func namespace(t *testing.T, client kubernetes.Interface, labels map[string]string) string {
	t.Helper()
	ns, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "case-", Labels: labels}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return ns.Name
}

// serviceAccount tells whether a namespace has its default service account.
func serviceAccount(t *testing.T, client kubernetes.Interface, ns string) func() bool {
	return func() bool {
		_, err := client.CoreV1().ServiceAccounts(ns).Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil
	}
}

func configMap(t *testing.T, client kubernetes.Interface, ns, name string) *corev1.ConfigMap {
	t.Helper()
	m, err := client.CoreV1().ConfigMaps(ns).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func pod(privileged bool) corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{
		Name: "c", Image: "example.invalid/none", SecurityContext: &corev1.SecurityContext{Privileged: &privileged},
	}}}
}

// webhook registers a validating webhook for every new config map.
func webhook(t *testing.T, client kubernetes.Interface, outside *httptest.Server) {
	t.Helper()
	u, err := url.Parse(outside.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/validate"
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: outside.Certificate().Raw})
	path, fail, none, seconds := u.String(), admissionv1.Fail, admissionv1.SideEffectClassNone, int32(5)
	config := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "production"}, Webhooks: []admissionv1.ValidatingWebhook{{
		Name: "validate.example.com", FailurePolicy: &fail, SideEffects: &none, TimeoutSeconds: &seconds, AdmissionReviewVersions: []string{"v1"},
		ClientConfig: admissionv1.WebhookClientConfig{URL: &path, CABundle: ca},
		Rules: []admissionv1.RuleWithOperations{{
			Operations: []admissionv1.OperationType{admissionv1.Create},
			Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
		}},
	}}}
	if _, err := client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(t.Context(), config, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}
