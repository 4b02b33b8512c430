# Builds the pinned third-party programs. Included by the root Makefile, and
# works alone: make -f tools/tools.mk tools
include $(dir $(lastword $(MAKEFILE_LIST)))versions.mk

ROOT_DIR   := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))..)
TOOLS_DIR  := $(ROOT_DIR)/.cache/tools
VERSITYGW  := $(TOOLS_DIR)/versitygw-$(VERSITYGW_VERSION)
GOTESTSUM  := $(TOOLS_DIR)/gotestsum-$(GOTESTSUM_VERSION)
CONTROLLER_GEN := $(TOOLS_DIR)/controller-gen-$(CONTROLLER_GEN_VERSION)
ALERTMANAGER   := $(TOOLS_DIR)/alertmanager-$(ALERTMANAGER_VERSION)
GOLANGCI_LINT  := $(TOOLS_DIR)/golangci-lint-$(GOLANGCI_LINT_VERSION)

# kubectl is that of the Kubernetes in the control plane's module.
KUBERNETES_MOD := $(ROOT_DIR)/verifier/sandbox/controlplane
KUBERNETES_VERSION = $(shell awk '$$1 == "k8s.io/kubernetes" {print $$2}' $(KUBERNETES_MOD)/go.mod)
KUBECTL = $(TOOLS_DIR)/kubectl-$(KUBERNETES_VERSION)

.PHONY: tools
tools: $(VERSITYGW) $(GOTESTSUM) prometheus kubectl ## build or fetch the third-party tools that tests run

.PHONY: prometheus
prometheus: $(ALERTMANAGER)
	@$(ROOT_DIR)/tools/prometheus.sh $(TOOLS_DIR)/prometheus

# A version is in the name of its file, so a file that is there is right. go
# install writes to a folder of its own first: a half-written file never gets
# the name.
define go-install
	@mkdir -p $(TOOLS_DIR)
	tmp=$$(mktemp -d $(TOOLS_DIR)/build.XXXXXX) && trap 'rm -rf "$$tmp"' EXIT && \
	CGO_ENABLED=0 GOFLAGS=-trimpath GOBIN="$$tmp" go install $(1) && \
	mv "$$tmp"/* $@
endef

$(VERSITYGW):
	$(call go-install,github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW_VERSION))

$(GOTESTSUM):
	$(call go-install,gotest.tools/gotestsum@$(GOTESTSUM_VERSION))

$(CONTROLLER_GEN):
	$(call go-install,sigs.k8s.io/controller-tools/cmd/controller-gen@$(CONTROLLER_GEN_VERSION))

# A folder with alertmanager and amtool. Debian's Alertmanager reads a template
# below /usr/share, which is there only if the package is installed.
$(ALERTMANAGER):
	@mkdir -p $(TOOLS_DIR)
	tmp=$$(mktemp -d $(TOOLS_DIR)/build.XXXXXX) && trap 'rm -rf "$$tmp"' EXIT && chmod 0755 "$$tmp" && \
	for program in alertmanager amtool; do \
		CGO_ENABLED=0 GOFLAGS=-trimpath GOBIN="$$tmp" go install github.com/prometheus/alertmanager/cmd/$$program@$(ALERTMANAGER_VERSION); done && \
	mv "$$tmp" $@

$(GOLANGCI_LINT):
	$(call go-install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION))

# A folder with kubectl. Its own dependencies are not in the control plane's module,
# so a copy of the module takes them up.
.PHONY: kubectl
kubectl: $(KUBECTL)/kubectl
$(TOOLS_DIR)/kubectl-%/kubectl:
	@mkdir -p $(@D)
	tmp=$$(mktemp -d $(TOOLS_DIR)/build.XXXXXX) && trap 'rm -rf "$$tmp"' EXIT && \
	cp $(KUBERNETES_MOD)/go.mod $(KUBERNETES_MOD)/go.sum "$$tmp" && cd "$$tmp" && \
	CGO_ENABLED=0 GOFLAGS=-trimpath go build -mod=mod -ldflags '-s -w -X k8s.io/component-base/version.gitVersion=$*' \
		-o kubectl k8s.io/kubernetes/cmd/kubectl && \
	mv kubectl $@
