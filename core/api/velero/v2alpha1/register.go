package v2alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of this package.
var GroupVersion = schema.GroupVersion{Group: "velero.io", Version: "v2alpha1"}

// AddToScheme makes the kinds of this package, and their lists, known to a
// scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&DataDownload{}, &DataDownloadList{},
		&DataUpload{}, &DataUploadList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
