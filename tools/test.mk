# Included by the Makefile: how the tests are run.

# What go test says goes into a file for the check on skipped tests and for the
# list of the slowest. The sabotage suite leaves its tables beside.
REPORTS := $(ROOT_DIR)/.cache/reports

# Arguments: name of the report, environment, packages. Real clusters on a busy
# machine are late now and then, so up to three tests that fail are run once
# more; both results are printed. A test that is wrong fails twice.
run-tests = mkdir -p $(REPORTS) && $(2) $(GOTESTSUM) --format pkgname --hide-summary skipped --jsonfile $(REPORTS)/$(1).jsonl --rerun-fails=1 --rerun-fails-max-failures=3 --packages="$(3)" --

# -count=1 in make full: no result is taken from Go's cache.
FRESH ?=
# The packages to run with the race detector: "some", those with goroutines, or "all".
RACE ?= some

# The packages whose tests need no build tag. The others run in e2e, with all
# their tests, so that none runs twice.
UNIT = $(shell go list ./... | grep -vE '/(alerts|test/sabotage|test/field|test/e2e/.*)$$')
GOROUTINES = \bgo func|\bgo [a-z.]+\(|\.Go\(|"sync"|"sync/atomic"|errgroup
RACY = $(if $(filter all,$(RACE)),$(UNIT),$(shell go list -f '{{.ImportPath}} {{.Dir}}' $(UNIT) | while read -r p dir; do if grep -qE '$(GOROUTINES)' $$dir/*.go; then echo $$p; fi; done))
CALM = $(filter-out $(RACY),$(UNIT))

# Tests on the built programs are run again when one of the programs has changed:
# the rig reads this digest of what they were built from, and Go's cache of test
# results knows it.
BUILD_DIGEST = $(shell { $(ONCE) go list -export -f '{{.BuildID}}' ./cmd/...; cat $(CONTROLPLANE_BIN); } | sha256sum | cut -c 1-16)

##@ Tests

.PHONY: test
test: unit test-controlplane e2e no-skips ## everything that needs no Docker

.PHONY: unit
unit: $(GOTESTSUM) ## the root module's tests; with the race detector where there are goroutines
	@command -v $${CC:-gcc} >/dev/null || { echo "missing: a C compiler for go test -race (Debian package: gcc)" >&2; exit 1; }
	$(call run-tests,unit-race,CGO_ENABLED=1 $(TRIM),$(RACY)) -race $(FRESH)
	@calm="$(CALM)"; [ -z "$$calm" ] || { $(call run-tests,unit,$(ONCE),$$calm) $(FRESH); }

.PHONY: test-controlplane
test-controlplane: $(READY) ## the nested module's tests
	cd $(NESTED) && $(call run-tests,controlplane,$(ONCE),./...) $(FRESH)

.PHONY: e2e
e2e: $(READY) ## tests on real parts: API server, etcd, S3 server, Prometheus, Alertmanager
	$(call run-tests,e2e,LIFEBOAT_BUILD=$(BUILD_DIGEST) $(ONCE),./alerts ./test/sabotage ./test/field ./test/e2e/...) $(FRESH) -tags e2e -p 1 -timeout 60m

.PHONY: test-kind
test-kind: $(READY) ## tests in real kind clusters, with a Docker daemon of their own where none runs
	$(ONCE) go run ./test/rig/docker -- $(MAKE) --no-print-directory e2e-kind

# Where a Docker daemon answers.
.PHONY: e2e-kind
e2e-kind: node-image
	$(call run-tests,kind,$(ONCE),./test/e2e/kind/...) -count=1 -tags e2e,kind -p 1 -timeout 60m
	$(call run-tests,kind-sabotage,$(ONCE),./test/sabotage) -count=1 -tags e2e,kind -parallel 2 -timeout 60m -run SabotageOfWorkloads

.PHONY: sabotage
sabotage: $(READY) ## every way to spoil a backup, and which level catches it; table in .cache/reports/sabotage.md
	LIFEBOAT_PART= $(ONCE) go test -count=1 -tags e2e -timeout 60m -v -run TestEverySabotage ./test/sabotage | grep -v -- '--- PASS\|=== '

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
