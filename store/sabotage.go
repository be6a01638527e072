//go:build sabotage

package store

import (
	"os"
	"strings"
)

// sabotaged takes out what keeps a row single or has the better informed witness win,
// where a proof wants to see that it then fails.
func sabotaged(insert, onConflict string) string {
	switch os.Getenv("AI_GATEWAY_SABOTAGE") {
	case "no-dedupe":
		return strings.ReplaceAll(insert, "(?, ?,", "(?, ? || '-' || hex(randomblob(4)),")
	case "estimate-first":
		return insert + " ON CONFLICT (started_at, id) DO NOTHING"
	}
	return insert + onConflict
}
