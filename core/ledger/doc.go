// Package ledger remembers the ends of runs beyond the life of what they left
// behind, so that counters made of them never decrease.
package ledger
