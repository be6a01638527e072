package gateway

import (
	"time"

	"github.com/google/uuid"
)

// Retention says how long rows are kept; 0 keeps them.
type Retention struct {
	Prompts  time.Duration
	Requests time.Duration // with their attempts
}

// RefusedRow is a row that the store can never take.
type RefusedRow struct {
	ID  uuid.UUID
	Err error
}
