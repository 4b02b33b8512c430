# Versions of third-party programs that tests and checks run. They are built
# from source by tools.mk into .cache/tools, each under its name and version,
# and are no part of any module of this repository.

# S3 server for tests, https://github.com/versity/versitygw (Apache-2.0).
VERSITYGW_VERSION := v1.8.0

# Prints what go test reports so that people and CI can read it,
# https://github.com/gotestyourself/gotestsum (Apache-2.0).
GOTESTSUM_VERSION := v1.13.0

# Makes deep copies and custom resource definitions of the types in core/api,
# https://github.com/kubernetes-sigs/controller-tools (Apache-2.0). v0.19 is that
# of Kubernetes 1.34.
CONTROLLER_GEN_VERSION := v0.19.0

# Alertmanager and amtool, https://github.com/prometheus/alertmanager (Apache-2.0).
ALERTMANAGER_VERSION := v0.27.0

# Runs the linters that .golangci.yml names,
# https://github.com/golangci/golangci-lint (GPL-3.0; it is run, and no part of it
# is distributed).
GOLANGCI_LINT_VERSION := v2.15.0
