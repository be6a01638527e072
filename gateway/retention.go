package gateway

import (
	"time"

	"github.com/google/uuid"
)

// Retention is how long rows are kept, by their age; 0 keeps them.
type Retention struct {
	Prompts  time.Duration
	Requests time.Duration // with their attempts
}

// RefusedRow is a row that the store cannot take, whatever it is asked with.
type RefusedRow struct {
	ID  uuid.UUID
	Err error
}
