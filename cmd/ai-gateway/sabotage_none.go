//go:build !sabotage

package main

// sabotaged is false: no part can be taken out of the gateway as it is built for users.
func (world) sabotaged(string) bool { return false }
