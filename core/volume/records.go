// Package volume holds what is recorded about persistent volumes in a backup.
package volume

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifeboat-backup/lifeboat/core/jsonbound"
)

// BackupMethod is how a volume's data was saved.
type BackupMethod string

// Velero's backup methods. None at all means that the volume was skipped.
const (
	NativeSnapshot  BackupMethod = "NativeSnapshot"
	PodVolumeBackup BackupMethod = "PodVolumeBackup"
	CSISnapshot     BackupMethod = "CSISnapshot"
)

// What became of a volume's data.
const (
	ResultSucceeded = "succeeded"
	ResultFailed    = "failed"
)

// Info is what <backup>-volumeinfo.json.gz holds of one volume (Velero
// v1.18.1, internal/volume/volumes_information.go). ReadyToUse and Phase have
// no lower-case name there, and none here.
type Info struct {
	PVCName               string       `json:"pvcName,omitempty"`
	PVCNamespace          string       `json:"pvcNamespace,omitempty"`
	PVName                string       `json:"pvName,omitempty"`
	BackupMethod          BackupMethod `json:"backupMethod,omitempty"`
	SnapshotDataMoved     bool         `json:"snapshotDataMoved"`
	PreserveLocalSnapshot bool         `json:"preserveLocalSnapshot"`
	Skipped               bool         `json:"skipped"`
	SkippedReason         string       `json:"skippedReason,omitempty"`
	StartTimestamp        *metav1.Time `json:"startTimestamp,omitempty"`
	CompletionTimestamp   *metav1.Time `json:"completionTimestamp,omitempty"`
	Result                string       `json:"result,omitempty"` // ResultSucceeded, ResultFailed or "" when Velero does not say

	CSISnapshotInfo          *CSISnapshotInfo          `json:"csiSnapshotInfo,omitempty"`
	SnapshotDataMovementInfo *SnapshotDataMovementInfo `json:"snapshotDataMovementInfo,omitempty"`
	NativeSnapshotInfo       *NativeSnapshotInfo       `json:"nativeSnapshotInfo,omitempty"`
	PVBInfo                  *PodVolumeInfo            `json:"pvbInfo,omitempty"`
	PVInfo                   *PVInfo                   `json:"pvInfo,omitempty"`
}

// Handle is how the method finds the data of the volume, "" if there is none.
func (i Info) Handle() string {
	switch {
	case i.SnapshotDataMovementInfo != nil:
		return i.SnapshotDataMovementInfo.SnapshotHandle
	case i.CSISnapshotInfo != nil:
		return i.CSISnapshotInfo.SnapshotHandle
	case i.NativeSnapshotInfo != nil:
		return i.NativeSnapshotInfo.SnapshotHandle
	case i.PVBInfo != nil:
		return i.PVBInfo.SnapshotHandle
	}
	return ""
}

// CSISnapshotInfo identifies a CSI snapshot. Sizes are in bytes.
type CSISnapshotInfo struct {
	SnapshotHandle            string `json:"snapshotHandle"`
	Size                      int64  `json:"size"`
	Driver                    string `json:"driver"`
	VSCName                   string `json:"vscName"`
	OperationID               string `json:"operationID,omitempty"`
	ReadyToUse                *bool
	VolumeGroupSnapshotHandle string `json:"volumeGroupSnapshotHandle,omitempty"`
}

// SnapshotDataMovementInfo identifies data that a data mover copied. Sizes are
// in bytes.
type SnapshotDataMovementInfo struct {
	DataMover        string `json:"dataMover"`
	UploaderType     string `json:"uploaderType"`
	RetainedSnapshot string `json:"retainedSnapshot,omitempty"`
	SnapshotHandle   string `json:"snapshotHandle"`
	OperationID      string `json:"operationID"`
	Size             int64  `json:"size"`
	IncrementalSize  int64  `json:"incrementalSize,omitempty"`
	Phase            string
}

// NativeSnapshotInfo identifies a snapshot made by a provider's plugin.
type NativeSnapshotInfo struct {
	SnapshotHandle string `json:"snapshotHandle"`
	VolumeType     string `json:"volumeType"`
	VolumeAZ       string `json:"volumeAZ"`
	IOPS           string `json:"iops"`
	Phase          string
}

// PodVolumeInfo identifies a file-system backup. Sizes are in bytes.
type PodVolumeInfo struct {
	SnapshotHandle  string `json:"snapshotHandle,omitempty"`
	Size            int64  `json:"size,omitempty"`
	IncrementalSize int64  `json:"incrementalSize,omitempty"`
	UploaderType    string `json:"uploaderType"`
	VolumeName      string `json:"volumeName"`
	PodName         string `json:"podName"`
	PodNamespace    string `json:"podNamespace"`
	NodeName        string `json:"nodeName,omitempty"`
	Phase           string
}

// PVInfo is what a restore needs of a volume that is newly provisioned.
type PVInfo struct {
	ReclaimPolicy string            `json:"reclaimPolicy"`
	Labels        map[string]string `json:"labels"`
}

// Snapshot is a snapshot made by a provider's plugin, as
// <backup>-volumesnapshots.json.gz holds it (Velero v1.18.1,
// internal/volume/native_snapshot.go).
type Snapshot struct {
	Spec   SnapshotSpec   `json:"spec"`
	Status SnapshotStatus `json:"status"`
}

// SnapshotSpec identifies the volume of the snapshot.
type SnapshotSpec struct {
	BackupName           string `json:"backupName"`
	BackupUID            string `json:"backupUID"`
	Location             string `json:"location"`
	PersistentVolumeName string `json:"persistentVolumeName"`
	ProviderVolumeID     string `json:"providerVolumeID"`
	VolumeType           string `json:"volumeType"`
	VolumeAZ             string `json:"volumeAZ,omitempty"`
	VolumeIOPS           *int64 `json:"volumeIOPS,omitempty"`
}

// SnapshotStatus is what became of it.
type SnapshotStatus struct {
	ProviderSnapshotID string        `json:"providerSnapshotID,omitempty"`
	Phase              SnapshotPhase `json:"phase,omitempty"`
}

// SnapshotPhase is where a snapshot is in its life.
type SnapshotPhase string

// The phases of a Snapshot.
const (
	SnapshotPhaseNew       SnapshotPhase = "New"
	SnapshotPhaseCompleted SnapshotPhase = "Completed"
	SnapshotPhaseFailed    SnapshotPhase = "Failed"
)

// MaxRecordsSize and MaxRecordsValues bound a file of records, decompressed, in
// bytes and in values of JSON. A record takes about 700 bytes and 35 values, so
// this is room for 90,000 volumes.
const (
	MaxRecordsSize   = 64 << 20
	MaxRecordsValues = 3_200_000
)

// DecodeInfos reads <backup>-volumeinfo.json.gz to its end, gzip's sum
// included. The list may be null. Over a limit the error wraps
// jsonbound.ErrTooLarge.
func DecodeInfos(r io.Reader) ([]Info, error) {
	return DecodeInfosWithin(r, jsonbound.Limits{Bytes: MaxRecordsSize, Values: MaxRecordsValues})
}

// DecodeInfosWithin is DecodeInfos with limits of the caller's, on what is
// decompressed.
func DecodeInfosWithin(r io.Reader, l jsonbound.Limits) ([]Info, error) {
	return decodeList[Info](r, l)
}

// ReadInfos is DecodeInfosWithin for readers of many backups: it waits until the
// process has memory for the records. An error of r passes as it is; all others
// wrap ErrDamaged. packed limits the records as they are stored, in bytes.
func ReadInfos(ctx context.Context, r io.Reader, packed int64, l jsonbound.Limits) ([]Info, error) {
	var list []Info
	var bad error
	err := jsonbound.Memory.DecodeGzip(ctx, r, packed, l, largestElement, func(raw []byte) error {
		bad = json.Unmarshal(raw, &list)
		return nil
	})
	if bad != nil {
		return nil, fmt.Errorf("decode volume records: %w: %w", ErrDamaged, jsonbound.Short(bad))
	}
	if errors.Is(err, jsonbound.ErrPacked) || errors.Is(err, jsonbound.ErrTooLarge) {
		return nil, fmt.Errorf("decode volume records: %w: %w", ErrDamaged, err)
	}
	return list, err
}

// ErrDamaged reports that records are malformed or over a limit.
var ErrDamaged = errors.New("damaged")

// largestElement is the size of an Info, in bytes.
const largestElement = 208

// DecodeSnapshots reads <backup>-volumesnapshots.json.gz likewise.
func DecodeSnapshots(r io.Reader) ([]Snapshot, error) {
	return decodeList[Snapshot](r, jsonbound.Limits{Bytes: MaxRecordsSize, Values: MaxRecordsValues})
}

func decodeList[T any](r io.Reader, l jsonbound.Limits) ([]T, error) {
	z, err := gzip.NewReader(bufio.NewReader(r))
	if err != nil {
		return nil, fmt.Errorf("decompress volume records: %w", err)
	}
	d := json.NewDecoder(jsonbound.NewReader(z, l))
	var list []T
	err = d.Decode(&list)
	if err == nil {
		// Anything but the end is wrong, and only reading to it checks the sum.
		if _, err = d.Token(); err == nil {
			err = errors.New("data after the end of the list")
		} else if err == io.EOF {
			err = nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("decode volume records: %w", err)
	}
	return list, nil
}
