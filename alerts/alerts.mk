# Included by the Makefile. promtool and Prometheus come from Debian's package
# prometheus, amtool from prometheus-alertmanager; no service of theirs need run.

GO ?= go
PROMTOOL ?= promtool
AMTOOL ?= amtool

.PHONY: check-alerts check-dashboards check-docs

check-alerts: ## Alerts: syntax, promtool tests, lint, Alertmanager's configuration, and no mutant survives
	$(PROMTOOL) check rules alerts/lifeboat.rules.yml alerts/examples/velero.rules.yml
	$(AMTOOL) check-config alerts/alertmanager.yml
	$(GO) test -count=1 -tags e2e -skip 'TestEveryMutantIsKilled' ./alerts
	$(GO) test -count=1 -tags e2e -timeout 30m -v -run 'TestEveryMutantIsKilled' ./alerts

check-dashboards: ## Dashboards: form, known metrics, every query against a real Prometheus
	$(GO) test -count=1 ./dashboards
	$(GO) test -count=1 -tags e2e ./test/e2e/prometheus

check-docs: ## Documents: the catalog of metrics is docs/metrics.md, every alert has a runbook
	$(GO) test -count=1 -run 'TestTheDocumentIsMadeFromTheCatalog|TestTheMetricsFollowTheConventions' ./exporter
	$(GO) test -count=1 -run 'Runbook|Only' ./alerts ./dashboards
