package archive_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/lifeboat-backup/lifeboat/core/archive"
	"github.com/lifeboat-backup/lifeboat/core/item"
)

// deployments makes n objects of about 2 kB each, unlike each other the way
// objects of a cluster are: names, UIDs, times, hashes.
func deployments(n int) []item.Item {
	items := make([]item.Item, n)
	for i := range items {
		h := fmt.Sprintf("%016x", uint64(i+1)*0x9E3779B97F4A7C15)
		ns, name := fmt.Sprintf("team-%03d", i%100), fmt.Sprintf("service-%s", h[:10])
		raw := fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"annotations":{"deployment.kubernetes.io/revision":"%d"},`+
			`"creationTimestamp":"2026-11-22T08:%02d:%02dZ","generation":1,"labels":{"app":"%s","team":"%s"},"managedFields":[{"apiVersion":"apps/v1",`+
			`"fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:labels":{".":{},"f:app":{},"f:team":{}}},"f:spec":{"f:progressDeadlineSeconds":{},"f:replicas":{},`+
			`"f:revisionHistoryLimit":{},"f:selector":{},"f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{},"f:maxUnavailable":{}},"f:type":{}},`+
			`"f:template":{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"main\"}":{".":{},"f:image":{},"f:imagePullPolicy":{},`+
			`"f:name":{},"f:resources":{},"f:terminationMessagePath":{},"f:terminationMessagePolicy":{}}},"f:dnsPolicy":{},"f:restartPolicy":{},"f:schedulerName":{},`+
			`"f:securityContext":{},"f:terminationGracePeriodSeconds":{}}}}},"manager":"kubectl","operation":"Update","time":"2026-11-22T08:%02d:%02dZ"}],`+
			`"name":"%s","namespace":"%s","resourceVersion":"%d","uid":"%s-%s-4a3b-9c1d-%s"},"spec":{"progressDeadlineSeconds":600,"replicas":%d,"revisionHistoryLimit":10,`+
			`"selector":{"matchLabels":{"app":"%s"}},"strategy":{"rollingUpdate":{"maxSurge":"25%%","maxUnavailable":"25%%"},"type":"RollingUpdate"},"template":{"metadata":`+
			`{"creationTimestamp":null,"labels":{"app":"%s"}},"spec":{"containers":[{"image":"registry.example.com/%s/%s:1.%d.%d","imagePullPolicy":"IfNotPresent","name":"main",`+
			`"resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"}],"dnsPolicy":"ClusterFirst","restartPolicy":"Always",`+
			`"schedulerName":"default-scheduler","securityContext":{},"terminationGracePeriodSeconds":30}}},"status":{}}`,
			i%7, i/60%60, i%60, name, ns, i/60%60, i%60, name, ns, 1000+i, h[:8], h[8:12], h[:12], i%5, name, name, ns, name, i%40, i%9)
		items[i] = item.Item{
			Key:     item.Key{Group: "apps", Resource: "deployments", Namespace: ns, Name: name},
			Version: "v1", Kind: "Deployment", Raw: []byte(raw),
		}
	}
	return items
}

func rawSize(items []item.Item) (n int64) {
	for _, it := range items {
		n += int64(len(it.Raw))
	}
	return n
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) { c.n += int64(len(p)); return len(p), nil }

// BenchmarkWriter reports MB/s of JSON as it comes in, each item written twice
// and digested.
func BenchmarkWriter(b *testing.B) {
	items := deployments(10_000)
	b.SetBytes(rawSize(items))
	var size counter
	for b.Loop() {
		size.n = 0
		w := archive.NewWriter(&size, archive.Options{ModTime: time.Unix(1e9, 0)})
		for _, it := range items {
			if _, err := w.Add(it); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(size.n), "archive-bytes")
}

// BenchmarkReader reports MB/s of JSON as it comes out, each item validated
// and compared with its copy.
func BenchmarkReader(b *testing.B) {
	items := deployments(10_000)
	archived := write(b, items...)
	b.SetBytes(rawSize(items))
	for b.Loop() {
		n := 0
		for _, err := range archive.NewReader(bytes.NewReader(archived), archive.Limits{}).Items() {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != len(items) {
			b.Fatal(n)
		}
	}
}

// BenchmarkMeta reports the speed of the validating scan alone.
func BenchmarkMeta(b *testing.B) {
	items := deployments(1000)
	b.SetBytes(rawSize(items))
	for b.Loop() {
		for _, it := range items {
			if _, err := archive.Meta(it.Raw); err != nil {
				b.Fatal(err)
			}
		}
	}
}
