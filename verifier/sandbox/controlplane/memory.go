package main

import "runtime/debug"

// settle gives back what starting took.
func settle() {
	debug.FreeOSMemory()
}
