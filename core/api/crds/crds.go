// Package crds holds the custom resource definitions of the kinds in
// core/api/velero. `make generate` makes them of the types; `make verify` says
// when they are not those of the types.
package crds

import "embed"

// Files are the definitions as YAML, one in each file, at the root. They may be
// created in any order.
//
//go:embed *.yaml
var Files embed.FS
