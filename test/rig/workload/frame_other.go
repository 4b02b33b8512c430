//go:build !linux

package main

import "errors"

// sendFrame is what nodes can do, which run Linux.
func sendFrame(string, string) error { return errors.ErrUnsupported }
