package cli

import "runtime/debug"

// version is set by the linker (-X).
var version = ""

// Version is the version of this build: what the linker was told, or what Go
// recorded of the checkout.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
