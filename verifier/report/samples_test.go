package report_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/lifeboat-backup/lifeboat/verifier/report"
)

var began = time.Date(2026, 11, 22, 3, 0, 4, 0, time.UTC)

// sample is a report as a drill at that level writes it.
func sample(level report.Level, verdict report.Verdict) report.Report {
	r := report.Report{
		Schema: report.Schema, ID: "20261122T030004Z-5f2c9a01", Level: level, Verdict: verdict,
		Started: began, Finished: began.Add(1400 * time.Millisecond),
		Backup: report.Backup{
			Name: "shop-daily-20261122020000", Location: "s3://backups/prod?region=eu-central-1", Schedule: "shop-daily",
			UID: "0d3b4b7a-7c52-4d0e-9f6f-2a3f5d7f1c11", Phase: "Completed",
			Started: began.Add(-time.Hour), Completed: began.Add(-58 * time.Minute), KubernetesVersion: "v1.34.4",
			MetadataSHA256: strings.Repeat("3e5f", 16), ContentsSHA256: strings.Repeat("a91c", 16), Manifest: true,
		},
		Stages: []report.Stage{{Name: "integrity", Seconds: 0.412}},
		Items:  report.Items{InBackup: 1974},
		Checks: []report.Check{
			{Name: "files_present", Verdict: report.Passed, Message: "all 9 files are there"},
			{Name: "metadata_valid", Verdict: report.Passed, Message: "velero-backup.json is that of this backup"},
			{Name: "items_digests", Verdict: report.Passed, Message: "1974 items are what the manifest says"},
		},
		NotProven: []string{"that an API server accepts the objects", "that workloads start and become ready", "that webhooks and aggregated APIs answer", "the data of volumes"},
		Versions:  report.Versions{Lifeboat: "v0.3.0"},
	}
	if verdict == report.Passed {
		r.Summary = "All files of the backup and its 1974 items are readable and agree with each other."
	}
	return r
}

func controlplane(verdict report.Verdict) report.Report {
	r := sample(report.LevelControlPlane, verdict)
	r.Policy = "nightly"
	r.Finished = began.Add(19 * time.Second)
	r.Versions.Kubernetes = "v1.34.4"
	r.Stages = append(r.Stages, report.Stage{Name: "sandbox", Seconds: 4.91}, report.Stage{Name: "plan", Seconds: 0.63},
		report.Stage{Name: "restore", Seconds: 9.87}, report.Stage{Name: "compare", Seconds: 2.2}, report.Stage{Name: "teardown", Seconds: 0.31})
	r.Items = report.Items{InBackup: 1974, Expected: 1912, Restored: 1912, Equal: 1912, Skipped: 62, SkippedBy: map[string]int{
		"owned by a controller that recreates it": 41, "the sandbox has its own": 12, "needs a webhook, which this level does not call": 9}}
	r.Checks = append(r.Checks,
		report.Check{Name: "items_restored", Verdict: report.Passed, Message: "1912 of 1912 expected items were accepted by the API server"},
		report.Check{Name: "items_equal", Verdict: report.Passed, Message: "1912 of 1912 restored items equal the backup"})
	r.NotProven = []string{"that workloads start and become ready", "that webhooks and aggregated APIs answer", "the data of volumes"}
	if verdict == report.Passed {
		r.Summary = "All 1912 expected items were restored into Kubernetes v1.34.4 and equal the backup; 62 were skipped by rule."
	}
	return r
}

// refuted is a drill whose restore was refused n objects.
func refuted(n int) report.Report {
	r := controlplane(report.Failed)
	for i := range n {
		f := report.Finding{Check: "items_restored", Object: fmt.Sprintf("widgets.apps.example.com shop/widget-%03d", i), Message: "not restored: Kubernetes v1.34.4 does not serve widgets.apps.example.com"}
		if i%3 == 1 {
			f = report.Finding{Check: "items_equal", Object: fmt.Sprintf("configmaps shop/settings-%03d", i), Message: "differs from the backup: data.limits: 10 in the backup, 20 in the cluster; metadata.labels.tier: missing"}
		}
		r.Findings = append(r.Findings, f)
	}
	r.Items.Missing, r.Items.Restored, r.Items.Equal = n, r.Items.Restored-n, r.Items.Equal-n
	r.Checks[3].Verdict, r.Checks[3].Message = report.Failed, fmt.Sprintf("%d of 1912 expected items were accepted by the API server", 1912-n)
	r.Summary = "The backup is bad: " + r.Findings[0].Object + ": " + r.Findings[0].Message
	if n > 1 {
		r.Checks[4].Verdict = report.Failed
		r.Summary = fmt.Sprintf("The backup is bad: %d findings, the first: %s: %s", n, r.Findings[0].Object, r.Findings[0].Message)
	}
	return r
}

func kind(verdict report.Verdict) report.Report {
	r := controlplane(verdict)
	r.Level = report.LevelKind
	r.Finished = began.Add(71 * time.Second)
	r.Versions.NodeImage = "kindest/node:v1.34.4@sha256:" + strings.Repeat("7c", 32)
	r.Stages = []report.Stage{{Name: "integrity", Seconds: 0.41}, {Name: "sandbox", Seconds: 24.6}, {Name: "images", Seconds: 8.3}, {Name: "contain", Seconds: 0.9},
		{Name: "plan", Seconds: 0.7}, {Name: "restore", Seconds: 10.2}, {Name: "compare", Seconds: 2.4}, {Name: "workloads", Seconds: 14.1}, {Name: "checks", Seconds: 6.2}, {Name: "teardown", Seconds: 2.9}}
	r.Checks = append(r.Checks,
		report.Check{Name: "workloads_ready", Verdict: report.Passed, Message: "31 workloads became ready", Seconds: 14.1},
		report.Check{Name: "services_have_endpoints", Verdict: report.Passed, Message: "18 of 18 Services with a selector have endpoints"},
		report.Check{Name: "shop answers", Kind: "http", Verdict: report.Passed, Message: "status 200, as expected", Seconds: 0.21, Output: "{\n  \"status\": \"ok\",\n  \"orders\": 4711\n}"},
		report.Check{Name: "orders are there", Kind: "sql", Verdict: report.Passed, Message: "4711, at least 4000 as expected", Seconds: 0.34, Output: "4711"})
	r.Recovery = &report.Recovery{PointSeconds: 3604, TimeSeconds: 33.6, PointTargetSeconds: 26 * 3600, TimeTargetSeconds: 900}
	r.Changed = map[string]int{"CronJobs suspended": 6, "node selectors removed": 11}
	r.Items.Equal, r.Items.Altered = r.Items.Equal-1, 1
	r.Altered = []report.Finding{{Check: "items_equal", Object: "persistentvolumeclaims shop/old", Message: `spec.storageClassName is "standard", absent in the backup (the default StorageClass of the cluster)`}}
	r.NotProven = []string{"the data of volumes"}
	if verdict == report.Passed {
		r.Summary = "All 1912 expected items were restored into Kubernetes v1.34.4, 31 workloads became ready, and 2 checks of the policy passed."
	}
	return r
}

// withoutImages is a kind drill that could not get images.
func withoutImages() report.Report {
	r := kind(report.Error)
	for _, image := range []string{"registry.internal/shop/web:2.4.1", "registry.internal/shop/worker:2.4.1", "ghcr.io/example/sidecar@sha256:" + strings.Repeat("0b", 32)} {
		r.Environment = append(r.Environment, report.Finding{Check: "images", Object: image, Message: "could not be pulled: dial tcp: lookup registry.internal: no such host"})
	}
	r.Stages = append(r.Stages[:2:2], report.Stage{Name: "images", Seconds: 31.4, Error: "3 images are not available"}, report.Stage{Name: "teardown", Seconds: 2.9})
	r.Checks, r.Items, r.Recovery, r.Changed, r.Altered = r.Checks[:3], report.Items{InBackup: 1974}, nil, nil, nil
	r.Waived = []report.Waived{{Finding: report.Finding{Check: "volume_data", Object: "persistentvolumeclaims shop/cache", Message: "volume data not restored"}, Reason: "the cache is filled again within minutes (OPS-112)"}}
	r.Summary = "The drill could not complete, so nothing is proven: images: 3 images are not available"
	return r
}

// evil is what hostile text looks like: markup, script, other directions,
// control characters, entities, a template, no spaces.
const evil = `</style></script><script>alert(1)</script><img src=x onerror=alert(2)> "' onmouseover=alert(3) {{.}} &lt; ]]> ` + "\u202egpj.exe\u2066\x00\x1b[31m\x07\u0085\ufeff\xff"

// hostile holds hostile text wherever a report holds text.
func hostile() report.Report {
	r := withoutImages()
	long := strings.Repeat("x", 5000)
	r.ID, r.Policy, r.Summary = evil, evil, evil
	r.Verdict, r.Level = report.Verdict(evil), report.Level(evil)
	r.Backup = report.Backup{Name: evil, Location: "javascript:alert(1)//" + evil, Schedule: evil, UID: evil, Phase: evil, KubernetesVersion: evil, MetadataSHA256: evil, ContentsSHA256: long}
	r.Stages = []report.Stage{{Name: evil, Seconds: -5, Error: evil}, {Name: long, Seconds: 1e300}}
	r.Items.Skipped, r.Items.SkippedBy = 1, map[string]int{evil: -1}
	r.Checks = []report.Check{{Name: evil, Verdict: report.Verdict(evil), Message: evil, Kind: evil, Seconds: -1, Output: evil}}
	r.Findings = []report.Finding{{Check: evil, Object: evil, Message: long + evil}}
	r.Environment = []report.Finding{{Check: evil, Object: evil, Message: evil}}
	r.Waived = []report.Waived{{Finding: report.Finding{Check: evil, Object: evil, Message: evil}, Reason: evil}}
	r.Altered = []report.Finding{{Check: evil, Object: evil, Message: long + evil}}
	r.Changed = map[string]int{evil: 7}
	r.Recovery = &report.Recovery{PointSeconds: -1, TimeSeconds: 1e300, PointTargetSeconds: 1, TimeTargetSeconds: 1}
	r.NotProven = []string{evil}
	r.Versions = report.Versions{Lifeboat: evil, Kubernetes: evil, NodeImage: evil}
	return r
}

func samples() map[string]report.Report {
	return map[string]report.Report{
		"passed-integrity":    sample(report.LevelIntegrity, report.Passed),
		"passed-controlplane": controlplane(report.Passed),
		"passed-kind":         kind(report.Passed),
		"failed-one":          refuted(1),
		"failed-many":         refuted(300),
		"error-images":        withoutImages(),
		"hostile":             hostile(),
	}
}
