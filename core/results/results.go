// Package results holds what a backup and a restore write in Velero's form
// about how they went: the lists of errors and warnings, and the log.
package results

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/klauspost/compress/gzip"
)

// Results are Velero's lists of errors and warnings (v1.18.1,
// pkg/util/results/result.go).
type Results struct {
	Errors   Lists `json:"errors"`
	Warnings Lists `json:"warnings"`
}

// Lists are messages by what they are about.
type Lists struct {
	Velero     []string            `json:"velero,omitempty"` // about no object of the cluster
	Cluster    []string            `json:"cluster,omitempty"`
	Namespaces map[string][]string `json:"namespaces,omitempty"`
}

// Add adds a message about an object in a namespace, or about one that is
// cluster-scoped if the namespace is "".
func (l *Lists) Add(namespace, message string) {
	if namespace == "" {
		l.Cluster = append(l.Cluster, message)
		return
	}
	if l.Namespaces == nil {
		l.Namespaces = map[string][]string{}
	}
	l.Namespaces[namespace] = append(l.Namespaces[namespace], message)
}

// Log collects lines as Velero's log has them.
type Log struct {
	// Of names the object that the lines are about: backup=velero/nightly.
	Of  string
	Now func() time.Time

	lines bytes.Buffer
}

// Logf adds a line.
func (l *Log) Logf(level, format string, args ...any) {
	fmt.Fprintf(&l.lines, "time=%q level=%s msg=%q %s\n", l.Now().UTC().Format(time.RFC3339), level, fmt.Sprintf(format, args...), l.Of)
}

// Bytes are the lines so far.
func (l *Log) Bytes() []byte { return l.lines.Bytes() }

// Encode is a value as one line of JSON.
func Encode(value any) ([]byte, error) {
	out, err := json.Marshal(value)
	return append(out, '\n'), err
}

// Compress gzips a file.
func Compress(content []byte) (*bytes.Buffer, error) {
	var z bytes.Buffer
	gz := gzip.NewWriter(&z)
	_, err := gz.Write(content)
	if err == nil {
		err = gz.Close()
	}
	return &z, err
}
