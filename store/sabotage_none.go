//go:build !sabotage

package store

// sabotaged leaves the statement as it is.
func sabotaged(insert, onConflict string) string { return insert + onConflict }
