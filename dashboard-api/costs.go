package dashboardapi

import (
	"context"
	"strconv"
	"time"

	"ai-gateway/gateway"
)

const costsPath = "/api/costs"

// CostParameters choose which costs are reported.
type CostParameters struct {
	From  time.Time `query:"from" doc:"When requests started at the earliest; without it all are added up, or what group allows"`
	To    time.Time `query:"to" doc:"Before when they started"`
	Group string    `query:"group" enum:"key,user,team,model,backend,tag,hour,day" doc:"Without it by key. With hour and day, in UTC, from is at least needed beyond 400 of them"`
}

func (in *CostParameters) filter() (gateway.RequestFilter, error) {
	return gateway.RequestFilter{From: in.From, To: in.To}, checkRange(in.From, in.To)
}

// GroupCosts are the sums of a group.
type GroupCosts struct {
	Group string `json:"group" doc:"The user, team, model, backend, the tag as name=value, or when the hour or day begins"`
	Costs
}

// CostsReport is the cost of requests.
type CostsReport struct {
	Total  Costs        `json:"total" doc:"Of all that is chosen. With group=tag the groups overlap: they are not parts of it"`
	Keys   []Costs      `json:"keys" nullable:"false" doc:"By key and model; empty with another group"`
	Groups []GroupCosts `json:"groups,omitempty" doc:"With a group other than key, in their order"`
}

func (o *operations) addCosts() {
	type report struct{ Body CostsReport }
	register(o, gateway.Viewer, costsPath, "get-costs", "What requests cost", func(ctx context.Context, in *CostParameters) (*report, error) {
		body, err := o.costs(ctx, in)
		return &report{body}, err
	})
	type one struct{ Body Costs }
	type keyInput struct {
		ID string `path:"id" doc:"The id of a key, also of one that was revoked"`
		CostParameters
	}
	register(o, gateway.Viewer, costsPath+"/{id}", "get-costs-of-key", "What the requests of a key cost", func(ctx context.Context, in *keyInput) (*one, error) {
		body, err := o.keyCosts(ctx, gateway.KeyID(in.ID), &in.CostParameters)
		return &one{body}, err
	})
}

// costs shows what requests cost; to members, their own.
func (o *operations) costs(ctx context.Context, in *CostParameters) (CostsReport, error) {
	filter, err := in.filter()
	if err != nil {
		return CostsReport{}, err
	}
	filter = ownOnly(ctx, filter)
	keys, err := o.a.Store.Costs(ctx, filter)
	if err != nil {
		return CostsReport{}, err
	}
	var total gateway.Sums
	report := CostsReport{Keys: []Costs{}}
	for _, k := range keys {
		total.Add(k.Sums)
		if in.byKey() {
			report.Keys = append(report.Keys, costsOfKey(k))
		}
	}
	report.Total = costsOf(total)
	if !in.byKey() {
		report.Groups, err = o.groupCosts(ctx, filter, in.Group, time.Now())
	}
	return report, err
}

func (in *CostParameters) byKey() bool {
	return in.Group == "" || in.Group == gateway.GroupByKey.String()
}

// groupCosts adds up by a group other than the key.
func (o *operations) groupCosts(ctx context.Context, f gateway.RequestFilter, name string, now time.Time) ([]GroupCosts, error) {
	bounds, err := costBounds(f, name, now)
	if err != nil {
		return nil, err
	}
	group, _ := gateway.ParseDimension(name) // none for hour and day, which are buckets
	sums, err := o.a.Store.Usage(ctx, gateway.UsageQuery{RequestFilter: f, Group: group, Bounds: bounds})
	groups := make([]GroupCosts, len(sums))
	for i, s := range sums {
		groups[i] = GroupCosts{s.Group, costsOf(gateway.Sums{Requests: s.Requests, PromptTokens: s.Tokens.Prompt, CachedTokens: s.Tokens.Cached,
			CompletionTokens: s.Tokens.Completion, Cost: s.Cost, Unpriced: s.Unpriced})}
		if group == 0 {
			groups[i].Group = bounds[s.Bucket].UTC().Format(time.RFC3339)
		}
	}
	return groups, err
}

// costBounds are the bounds of the hours or days, or of all time.
func costBounds(f gateway.RequestFilter, name string, now time.Time) ([]time.Time, error) {
	to := f.To
	if to.IsZero() {
		to = now.Add(time.Hour) // for clocks that are ahead of ours
	}
	from := f.From
	if name != "hour" && name != "day" {
		return []time.Time{from, to}, nil
	}
	if from.IsZero() {
		from = to.AddDate(0, -1, 0).Truncate(24 * time.Hour)
		if name == "hour" {
			from = to.Add(-24 * time.Hour).Truncate(time.Hour)
		}
	}
	bounds := bucketBounds(from, to, name, time.UTC)
	if bounds == nil {
		return nil, badParameter("group", "the time is too long for it: at most 400 hours or days.")
	}
	return bounds, nil
}

// keyCosts shows what a key cost; to members, their own.
func (o *operations) keyCosts(ctx context.Context, id gateway.KeyID, in *CostParameters) (Costs, error) {
	filter, err := in.filter()
	switch {
	case err != nil:
		return Costs{}, err
	case !in.byKey():
		return Costs{}, badParameter("group", "of a single key must be key: GET /api/usage has the key as a filter, and other groups.")
	}
	filter.Key = id
	if filter = ownOnly(ctx, filter); filter.Key != id {
		return Costs{}, gateway.ErrNoKey
	}
	keys, err := o.a.Store.Costs(ctx, filter)
	if err == nil && len(keys) == 0 {
		err = o.unused(ctx, filter)
		keys = []gateway.KeyCosts{{Key: gateway.Key{ID: id}}}
	}
	if err != nil {
		return Costs{}, err
	}
	return costsOfKey(keys[0]), nil
}

// unused returns an error if the caller sees no use of a key.
func (o *operations) unused(ctx context.Context, f gateway.RequestFilter) error {
	f.From, f.To = time.Time{}, time.Time{}
	ever, err := o.a.Store.Costs(ctx, f)
	if err == nil && len(ever) == 0 {
		err = gateway.ErrNoKey
	}
	return err
}

func (r CostsReport) table() [][]string {
	rows := [][]string{{"group", "label", "model", "requests", "prompt_tokens", "cached_tokens", "completion_tokens", "total_tokens", "cost_usd", "unpriced_requests"}}
	for _, k := range r.Keys {
		rows = append(rows, k.rows()...)
	}
	for _, g := range r.Groups {
		rows = append(rows, g.row(g.Group, "", ""))
	}
	return rows
}

func (c Costs) table() [][]string { return CostsReport{Keys: []Costs{c}}.table() }

// rows are the rows of a key, one for each model.
func (c Costs) rows() (rows [][]string) {
	for _, m := range c.Models {
		rows = append(rows, m.row(string(c.KeyID), c.Label, string(m.Model)))
	}
	return rows
}

func (c Costs) row(group, label, model string) []string {
	row := []string{group, label, model}
	for _, n := range []int64{c.Requests, c.PromptTokens, c.CachedTokens, c.CompletionTokens, c.TotalTokens} {
		row = append(row, strconv.FormatInt(n, 10))
	}
	return append(row, c.CostUSD, strconv.FormatInt(c.Unpriced, 10))
}
