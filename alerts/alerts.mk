# Included by the Makefile. These are parts of make unit and make e2e, to run alone.
# promtool and Prometheus come from Debian's package prometheus, amtool from
# prometheus-alertmanager; none of their services needs to run.

GO ?= go

##@ Monitoring

.PHONY: check-alerts
check-alerts: prometheus ## alerts: syntax, promtool tests, lint, Alertmanager's configuration, and no mutant survives
	$(GO) test -tags e2e -timeout 60m ./alerts

.PHONY: check-dashboards
check-dashboards: prometheus ## dashboards: form, known metrics, every query against a real Prometheus
	$(GO) test -tags e2e ./dashboards ./test/e2e/prometheus

.PHONY: check-docs
check-docs: ## documents: docs/metrics.md is made from the catalog of metrics, every alert has a runbook
	$(GO) test ./exporter/... ./alerts ./dashboards
