//go:build sabotage

package main

// sabotaged reports whether a part is to be taken out. The proofs of what the
// gateway promises are run against such a binary as well, and have to fail there; the
// bench takes the ledger out to tell its cost.
func (w world) sabotaged(part string) bool { return w.getenv("AI_GATEWAY_SABOTAGE") == part }
