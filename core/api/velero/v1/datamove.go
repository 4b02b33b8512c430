package v1

// DataMoveOperationProgress is how far copying has come, in bytes.
type DataMoveOperationProgress struct {
	// TotalBytes is how many there are to copy, as far as is known by now.
	// +optional
	TotalBytes int64 `json:"totalBytes,omitempty"`
	// BytesDone is how many were copied.
	// +optional
	BytesDone int64 `json:"bytesDone,omitempty"`
}
