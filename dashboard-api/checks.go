package dashboardapi

import (
	"context"
	"time"

	"ai-gateway/gateway"
)

// Finding is the result of a check.
type Finding struct {
	About string `json:"about" doc:"What was checked, such as store or a backend"`
	State string `json:"state" enum:"ok,failed,skipped"`
	Text  string `json:"text" doc:"What was found, or why it was not checked"`
	Hint  string `json:"hint" doc:"What helps, or is to be known; empty for nothing"`
}

// Findings are the results of all checks.
type Findings struct {
	At   time.Time `json:"at" doc:"When they were made"`
	Data []Finding `json:"data" nullable:"false"`
}

func (o *operations) addChecks() {
	type answer struct{ Body Findings }
	register(o, gateway.Admin, "/api/checks", "run-checks", "What `ai-gateway doctor` finds in the process that answers. Backends are asked for their models", func(ctx context.Context, _ *struct{}) (*answer, error) {
		found, err := o.a.Check(ctx)
		return &answer{Findings{time.Now().UTC(), found}}, err
	})
}
