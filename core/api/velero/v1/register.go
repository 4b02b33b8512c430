package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// APIVersion is the API version of every object of this package.
const APIVersion = "velero.io/v1"

// GroupVersion is the group and version of this package.
var GroupVersion = schema.GroupVersion{Group: "velero.io", Version: "v1"}

// AddToScheme makes the kinds of this package, and their lists, known to a
// scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&Backup{}, &BackupList{},
		&BackupRepository{}, &BackupRepositoryList{},
		&BackupStorageLocation{}, &BackupStorageLocationList{},
		&DeleteBackupRequest{}, &DeleteBackupRequestList{},
		&DownloadRequest{}, &DownloadRequestList{},
		&PodVolumeBackup{}, &PodVolumeBackupList{},
		&PodVolumeRestore{}, &PodVolumeRestoreList{},
		&Restore{}, &RestoreList{},
		&Schedule{}, &ScheduleList{},
		&ServerStatusRequest{}, &ServerStatusRequestList{},
		&VolumeSnapshotLocation{}, &VolumeSnapshotLocationList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
