// Package status prints a state as the status page and /api/v1/status show it. It is pure.
package status
