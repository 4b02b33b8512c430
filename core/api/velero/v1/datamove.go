package v1

// DataMoveOperationProgress is the progress of copying, in bytes.
type DataMoveOperationProgress struct {
	// TotalBytes is how many there are to copy, as far as known.
	// +optional
	TotalBytes int64 `json:"totalBytes,omitempty"`
	// BytesDone is how many were copied.
	// +optional
	BytesDone int64 `json:"bytesDone,omitempty"`
}
