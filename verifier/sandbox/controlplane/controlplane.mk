# Builds bin/lifeboat-controlplane out of its nested Go module. Included by the
# Makefile at the root of the repository; works alone too:
#   make -f verifier/sandbox/controlplane/controlplane.mk controlplane

CONTROLPLANE_DIR := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
CONTROLPLANE_BIN ?= $(abspath $(CONTROLPLANE_DIR)/../../..)/bin/lifeboat-controlplane
CONTROLPLANE_SRC := $(CONTROLPLANE_DIR)/go.mod $(CONTROLPLANE_DIR)/go.sum $(CONTROLPLANE_DIR)/controlplane.mk \
	$(filter-out %_test.go,$(wildcard $(CONTROLPLANE_DIR)/*.go $(CONTROLPLANE_DIR)/internal/*/*.go))

# The version of Kubernetes is written once, in go.mod. Kubernetes learns it from
# the linker, as in its own builds; the binary refuses to start when they differ.
CONTROLPLANE_KUBERNETES = $(shell awk '$$1 == "k8s.io/kubernetes" {print $$2}' $(CONTROLPLANE_DIR)/go.mod)
CONTROLPLANE_PARTS = $(subst ., ,$(patsubst v%,%,$(CONTROLPLANE_KUBERNETES)))
CONTROLPLANE_STAMPS = $(foreach p,k8s.io/component-base/version k8s.io/client-go/pkg/version, \
	-X $(p).gitVersion=$(CONTROLPLANE_KUBERNETES) \
	-X $(p).gitMajor=$(word 1,$(CONTROLPLANE_PARTS)) \
	-X $(p).gitMinor=$(word 2,$(CONTROLPLANE_PARTS)) \
	-X $(p).gitCommit= \
	-X $(p).gitTreeState=clean)

.PHONY: controlplane
controlplane: $(CONTROLPLANE_BIN) ## the control-plane sandbox, bin/lifeboat-controlplane

$(CONTROLPLANE_BIN): $(CONTROLPLANE_SRC)
	@mkdir -p $(@D)
	cd $(CONTROLPLANE_DIR) && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w $(CONTROLPLANE_STAMPS)' -o $@ .
