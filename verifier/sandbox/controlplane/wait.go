package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/kubernetes"
	genericcontrollermanager "k8s.io/controller-manager/app"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/cmd/kube-controller-manager/names"
)

// waitForServer waits until the API server reports that it is ready and the default
// namespace is there.
func waitForServer(ctx context.Context, client kubernetes.Interface) error {
	return poll(ctx,
		func(ctx context.Context) error {
			return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		},
		func(ctx context.Context) error {
			_, err := client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{})
			return err
		},
	)
}

// waitForNamespace waits until the controllers that run have given the default
// namespace what every namespace gets.
func waitForNamespace(ctx context.Context, client kubernetes.Interface, controllers []string) error {
	offByDefault := sets.NewString(kcm.ControllersDisabledByDefault()...)
	runs := func(name string) bool {
		return genericcontrollermanager.IsControllerEnabled(name, offByDefault, controllers)
	}
	var conditions []func(context.Context) error
	if runs(names.ServiceAccountController) {
		conditions = append(conditions, func(ctx context.Context) error {
			_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
			return err
		})
	}
	if runs(names.RootCACertificatePublisherController) {
		conditions = append(conditions, func(ctx context.Context) error {
			_, err := client.CoreV1().ConfigMaps(metav1.NamespaceDefault).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
			return err
		})
	}
	return poll(ctx, conditions...)
}

// poll asks until every condition has held once. It has no limit of its own: the
// parent's patience is the parent's.
func poll(ctx context.Context, conditions ...func(context.Context) error) error {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		var last error
		conditions = slices.DeleteFunc(conditions, func(condition func(context.Context) error) bool {
			if last != nil {
				return false
			}
			last = condition(ctx)
			return last == nil
		})
		if len(conditions) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the cluster: %w (last answer: %w)", context.Cause(ctx), last)
		}
	}
}
