# `make help` lists the targets. Two of them do all set-up by themselves:
# `make demo` and `make test`. They need Go, make, and for `make test` a C
# compiler (race detector) and apt (Prometheus); what is missing is said in one
# line.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO = $(ONCE) go

include verifier/sandbox/controlplane/controlplane.mk
include tools/tools.mk
include alerts/alerts.mk

export PATH := $(TOOLS_DIR)/prometheus:$(PATH)
export LIFEBOAT_CONTROLPLANE := $(CONTROLPLANE_BIN)

BIN     := $(ROOT_DIR)/bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X github.com/lifeboat-backup/lifeboat/cmd/internal/cli.version=$(VERSION)
NESTED  := verifier/sandbox/controlplane

# The packages of Kubernetes and of the SDKs take minutes to compile. What needs
# no race detector is built with the same settings throughout, so that each is
# compiled once.
ONCE := CGO_ENABLED=0 GOFLAGS="$(strip $(shell go env GOFLAGS) -trimpath)"

# What go test says goes into a file for the check on skipped tests.
REPORTS := $(ROOT_DIR)/.cache/reports
#
# Arguments: name of the report, environment, packages. Real clusters on a busy
# machine are late now and then, so up to three tests that fail are asked once
# more; both answers are printed. A test that is wrong fails twice.
run-tests = mkdir -p $(REPORTS) && $(2) $(GOTESTSUM) --format pkgname --hide-summary skipped --jsonfile $(REPORTS)/$(1).json --rerun-fails=1 --rerun-fails-max-failures=3 --packages="$(3)" --

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST) | sort

.PHONY: build
build: ## the three programs, into bin/
	@mkdir -p $(BIN)
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/...

.PHONY: node-image
node-image: ## a kind node image without any registry; needs root, Debian's archive and Docker
	@$(ONCE) go run ./verifier/sandbox/kind/nodeimage

.PHONY: demo
demo: build controlplane ## a backup, a loss, a restore, a drill, a refutation and the metrics, on clusters of its own
	$(ONCE) go run ./test/demo -bin $(BIN)

.PHONY: test
test: unit test-controlplane e2e check-alerts check-dashboards check-docs no-skips ## everything that needs no Docker

.PHONY: unit
unit: $(GOTESTSUM) ## the root module's tests, with the race detector
	@command -v $${CC:-gcc} >/dev/null || { echo "missing: a C compiler for go test -race (Debian package: gcc)" >&2; exit 1; }
	$(call run-tests,unit,,./...) -race

.PHONY: test-controlplane
test-controlplane: $(GOTESTSUM) controlplane ## the nested module's tests
	cd $(NESTED) && $(call run-tests,controlplane,$(ONCE),./...)

.PHONY: e2e
e2e: build controlplane tools ## tests on real parts: API server, etcd, S3 server, Prometheus
	$(call run-tests,e2e,$(ONCE),./test/e2e/... ./test/sabotage) -count=1 -tags e2e -p 1 -timeout 30m

.PHONY: sabotage
sabotage: build controlplane tools ## every way to spoil a backup, and which level catches it; table in .cache/reports/sabotage.md
	$(ONCE) go test -count=1 -tags e2e -timeout 20m -v -run TestEverySabotage ./test/sabotage | grep -v -- '--- PASS\|=== '

.PHONY: test-kind
test-kind: build controlplane tools ## tests in real kind clusters, with a Docker daemon of their own where none runs
	$(ONCE) go run ./test/rig/docker -- $(MAKE) e2e-kind no-skips

# Where a Docker daemon answers.
.PHONY: e2e-kind
e2e-kind: node-image
	$(call run-tests,e2e-kind,$(ONCE),./test/e2e/kind/...) -count=1 -tags e2e,kind -p 1 -timeout 60m
	$(call run-tests,e2e-sabotage-kind,$(ONCE),./test/sabotage) -count=1 -tags e2e,kind -parallel 2 -timeout 30m -run SabotageOfWorkloads

# Both talk to Prometheus' own programs, and to Alertmanager's.
check-alerts check-dashboards: prometheus

.PHONY: no-skips
no-skips: ## fail if a test of the last run was skipped
	@skipped=$$(grep -h '"Action":"skip"' $(REPORTS)/*.json | grep '"Test":' || true); \
	if [ -n "$$skipped" ]; then echo "tests were skipped; a required test never is:" >&2; echo "$$skipped" >&2; exit 1; fi

.PHONY: cover
cover: ## coverage of the unit tests
	@mkdir -p $(REPORTS)
	go test -coverprofile=$(REPORTS)/cover.out ./... >/dev/null
	go tool cover -func=$(REPORTS)/cover.out | tail -n 1

.PHONY: fuzz-short
fuzz-short: ## each fuzzer for ten seconds
	@for pkg in $$(grep -rl --include='*_test.go' '^func Fuzz' core exporter verifier cmd | xargs -n1 dirname | sort -u); do \
		for f in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$pkg/*_test.go | sed 's/^func //'); do \
			go test -run '^$$' -fuzz "^$$f\$$" -fuzztime 10s ./$$pkg; done; done

BENCH_OBJECTS ?= 1000 10000 100000

.PHONY: bench
bench: build controlplane tools ## end-to-end measurements at BENCH_OBJECTS; results in test/bench/results
	for n in $(BENCH_OBJECTS); do $(ONCE) go run ./test/bench -objects $$n -bin $(BIN) -out test/bench/results; done

.PHONY: fmt
fmt: ## format the code
	gofmt -w $$(git ls-files '*.go')

.PHONY: lint
lint: ## formatting and vet, tagged code included
	@bad=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$bad" ] || { echo "not formatted (make fmt):" $$bad >&2; exit 1; }
	$(ONCE) go vet -tags e2e,kind ./...
	cd $(NESTED) && $(ONCE) go vet ./...

.PHONY: generate
generate: $(CONTROLLER_GEN) ## deep copies and custom resource definitions, from the types in core/api; dashboards; what is made from the alerts
	tools/generate.sh $(CONTROLLER_GEN)
	$(ONCE) go test -count=1 ./alerts ./dashboards -update

.PHONY: pictures
pictures: prometheus ## the pictures in docs/images, drawn from the dashboards; needs Chromium
	$(ONCE) go test -count=1 -tags pictures ./dashboards/picture -dir $(ROOT_DIR)/docs/images

.PHONY: verify
verify: $(CONTROLLER_GEN) ## modules are tidy, generated files are those of the types
	go mod tidy -diff
	cd $(NESTED) && go mod tidy -diff
	tools/generate.sh $(CONTROLLER_GEN) --check

.PHONY: ci
ci: lint verify test test-kind demo ## what .ci/run runs

.PHONY: clean
clean: ## remove what was built, caches included
	rm -rf $(BIN) $(ROOT_DIR)/.cache
