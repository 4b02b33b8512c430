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

export PATH := $(ALERTMANAGER):$(TOOLS_DIR)/prometheus:$(KUBECTL):$(PATH)
export LIFEBOAT_CONTROLPLANE := $(CONTROLPLANE_BIN)

BIN     := $(ROOT_DIR)/bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X github.com/lifeboat-backup/lifeboat/cmd/internal/cli.version=$(VERSION)
NESTED  := verifier/sandbox/controlplane

# The packages of Kubernetes and of the SDKs take minutes to compile. What needs
# no race detector is built with the same settings throughout, so that each is
# compiled once. Without paths in the result (-trimpath), a second clone on the
# same machine finds it in Go's cache.
TRIM := GOFLAGS="$(strip $(filter-out -trimpath,$(shell go env GOFLAGS)) -trimpath)"
ONCE := CGO_ENABLED=0 $(TRIM)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A lane of make ci starts with everything built.
READY = $(if $(PREPARED),,build controlplane tools)

##@ Build and try

.PHONY: build
build: ## the three programs, into bin/
	@mkdir -p $(BIN)
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/...

.PHONY: node-image
node-image: ## a kind node image without any registry; needs root, Debian's archive and Docker
	@$(ONCE) go run ./tools/nodeimage

.PHONY: demo
demo: $(READY) ## a backup, a loss, a restore, a drill, a refutation and the metrics, on clusters of its own
	$(ONCE) go run ./test/demo -bin $(BIN)

BENCH_OBJECTS ?= 1000 10000 100000

.PHONY: bench
bench: $(READY) ## end-to-end measurements at BENCH_OBJECTS; results in test/bench/results
	for n in $(BENCH_OBJECTS); do $(ONCE) go run ./test/bench -objects $$n -bin $(BIN) -out test/bench/results; done

##@ Generate

.PHONY: generate
generate: $(CONTROLLER_GEN) ## deep copies and custom resource definitions, from the types in core/api; rules of the linter; dashboards; what is made from the alerts
	tools/generate.sh $(CONTROLLER_GEN)
	$(ONCE) go test -count=1 ./core ./alerts ./dashboards -update

.PHONY: pictures
pictures: prometheus ## the pictures in docs/images, drawn from the dashboards; needs Chromium
	$(ONCE) go test -count=1 -tags pictures ./tools/picture -dir $(ROOT_DIR)/docs/images

.PHONY: verify
verify: $(CONTROLLER_GEN) ## modules are tidy, generated files are those of the types
	go mod tidy -diff
	cd $(NESTED) && go mod tidy -diff
	tools/generate.sh $(CONTROLLER_GEN) --check

.PHONY: clean
clean: ## remove what was built, caches included
	rm -rf $(BIN) $(ROOT_DIR)/.cache

include tools/ci.mk
include tools/test.mk
include alerts/alerts.mk
