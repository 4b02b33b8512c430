# Included by the Makefile. promtool and Prometheus come from Debian's package
# prometheus (apt-get install prometheus); its service need not run.

GO ?= go
PROMTOOL ?= promtool

.PHONY: check-alerts check-dashboards check-docs

check-alerts: ## Alerts: syntax, promtool tests, and no mutant survives them
	$(PROMTOOL) check rules alerts/lifeboat.rules.yml
	$(PROMTOOL) test rules alerts/tests/*_test.yml
	$(GO) test -count=1 ./alerts
	$(GO) test -count=1 -tags e2e -run 'TestEveryMutantIsKilled' ./alerts

check-dashboards: ## Dashboards: form, known metrics, every query against a real Prometheus
	$(GO) test -count=1 ./dashboards
	$(GO) test -count=1 -tags e2e ./test/e2e/prometheus

check-docs: ## Documents: the catalog of metrics is docs/metrics.md, every alert has a runbook
	$(GO) test -count=1 -run 'TestTheDocumentIsMadeFromTheCatalog|TestTheMetricsFollowTheConventions' ./exporter
	$(GO) test -count=1 -run 'Runbook|Only' ./alerts ./dashboards
