# Included by the Makefile: the three tiers of checks, and lint. See
# docs/testing.md.

# The parts of long lists of cases that a run takes. make full takes all.
PART ?= $(shell $(ROOT_DIR)/tools/part.sh)
export LIFEBOAT_PART = $(PART)

# The first seed of the generated clusters in test/field.
export LIFEBOAT_SEED ?= $(shell git rev-list --count HEAD 2>/dev/null || echo 1)0

# A lane that takes longer than its budget, in minutes, is reported; at the limit
# it is stopped and the run fails.
export LANE_BUDGET ?= 35
export LANE_LIMIT  ?= 60

##@ Checks, from fast to complete

.PHONY: check
check: lint ## before a commit: lint and the unit tests without the race detector; 3 minutes
	$(call run-tests,check,$(ONCE),$(UNIT))

.PHONY: ci
ci: ## before a merge, and what .ci/run runs: two lanes, without Docker and with it; 35 minutes
	@rm -f $(REPORTS)/*.jsonl
	@echo "ci: part $(PART) of the long lists of cases; make full takes all"
	@TIMEFORMAT='prepare: %0R s'; time $(MAKE) --no-print-directory prepare
	@status=0; MAKE='$(MAKE)' tools/lanes.sh lane-core lane-kind || status=$$?; \
	$(MAKE) --no-print-directory summary no-skips || status=1; exit $$status

.PHONY: full
full: ## every night: every case at every level, nothing cached, race detector everywhere, fuzzers, a bench
	$(MAKE) ci PART=1/1 LIFEBOAT_ROUNDS=40 FRESH=-count=1 RACE=all LANE_BUDGET=120 LANE_LIMIT=240
	$(MAKE) fuzz-short
	$(MAKE) bench BENCH_OBJECTS=1000

# The lanes start with everything that both need.
.PHONY: prepare
prepare: build controlplane tools

.PHONY: lane-core
lane-core: lint verify unit test-controlplane e2e demo

.PHONY: lane-kind
lane-kind: test-kind

# What gotestsum said at the end of each step, and the slowest tests of all.
.PHONY: summary
summary: $(GOTESTSUM)
	@echo; echo "The ten slowest tests, subtests included:"
	@cat $(REPORTS)/*.jsonl | $(GOTESTSUM) tool slowest --num 10 --threshold 1s
	@echo; grep -h '^DONE ' $(ROOT_DIR)/.cache/lanes/*.log || { echo "no test has run" >&2; exit 1; }

.PHONY: no-skips
no-skips: ## fail if a test of the last run was skipped
	@ls $(REPORTS)/*.jsonl >/dev/null || { echo "there is no report of a test run in $(REPORTS)" >&2; exit 1; }
	@skipped=$$(grep -h '"Action":"skip"' $(REPORTS)/*.jsonl | grep '"Test":' || true); \
	if [ -n "$$skipped" ]; then echo "tests were skipped; a required test never is:" >&2; echo "$$skipped" >&2; exit 1; fi
	@echo "no test was skipped"

##@ Parts of the checks

.PHONY: lint
lint: $(GOLANGCI_LINT) ## formatting, vet and golangci-lint, tagged code included
	@bad=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$bad" ] || { echo "not formatted (make fmt):" $$bad >&2; exit 1; }
	$(ONCE) $(GOLANGCI_LINT) run ./...
	cd $(NESTED) && $(ONCE) go vet ./...

.PHONY: fmt
fmt: ## format the code
	gofmt -w $$(git ls-files '*.go')
