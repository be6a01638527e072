//go:build !sabotage

package usage

// sabotaged leaves the statement as it is.
func sabotaged(insert, onConflict string) string { return insert + onConflict }
