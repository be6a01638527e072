//go:build sabotage

package store

import (
	"os"

	"github.com/google/uuid"
)

// Where a proof wants to see that it then fails, these take out what keeps a row single or
// has the better informed witness win.

func recordedID(id uuid.UUID) string {
	if os.Getenv("AI_GATEWAY_SABOTAGE") == "no-dedupe" {
		return uuid.NewString()
	}
	return id.String()
}

func onConflict(complete string) string {
	if os.Getenv("AI_GATEWAY_SABOTAGE") == "estimate-first" {
		return "ON CONFLICT (started_at, id) DO NOTHING"
	}
	return complete
}
