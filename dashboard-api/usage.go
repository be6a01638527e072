package dashboardapi

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"ai-gateway/gateway"
)

const (
	maxBuckets  = 400
	shownGroups = 8 // beyond them is "other"
	autoHours   = 73 * time.Hour
)

type usageInput struct {
	FilterParameters
	Group    string `query:"group" enum:"model,backend,key,user,team,tag" doc:"Without it one series has all"`
	Interval string `query:"interval" enum:"hour,day" doc:"Without it hours for up to three days, else days"`
	Zone     string `query:"zone" default:"UTC" doc:"An IANA time zone, whose hours and days the buckets are"`
}

// Bucket is a span of time.
type Bucket struct {
	Start    time.Time `json:"start"`
	End      time.Time `json:"end"`
	Complete bool      `json:"complete" doc:"False while requests may still come"`
}

// Sums add up requests.
type Sums struct {
	Requests         int64  `json:"requests"`
	Failed           int64  `json:"failed" doc:"Those that a provider is at fault for"`
	PromptTokens     int64  `json:"prompt_tokens"`
	CachedTokens     int64  `json:"cached_tokens" doc:"Part of prompt_tokens"`
	CompletionTokens int64  `json:"completion_tokens"`
	ReasoningTokens  int64  `json:"reasoning_tokens" doc:"Part of completion_tokens"`
	CostNanoUSD      int64  `json:"cost_nanousd"`
	CostUSD          string `json:"cost_usd"`
	Unpriced         int64  `json:"unpriced" doc:"Requests without a known price, which are not part of the cost"`
	Estimated        int64  `json:"estimated" doc:"Requests whose tokens no provider reported"`
	DurationMS       *int64 `json:"duration_ms" doc:"On average; null without requests"`
	TTFTMS           *int64 `json:"ttft_ms" doc:"On average; null if nothing was answered"`
}

// Series is the usage of one group over time.
type Series struct {
	Group  string `json:"group" doc:"The model, backend, key, user, team, or tag as name=value"`
	Label  string `json:"label" doc:"For people"`
	Other  bool   `json:"other" doc:"True for the rest that is not shown by itself"`
	Totals Sums   `json:"totals"`
	Points []Sums `json:"points" nullable:"false" doc:"One for each bucket"`
}

// Percentiles are of one bucket; null without requests.
type Percentiles struct {
	TTFT50     *int64 `json:"ttft_p50_ms"`
	TTFT95     *int64 `json:"ttft_p95_ms"`
	Duration50 *int64 `json:"duration_p50_ms"`
	Duration95 *int64 `json:"duration_p95_ms"`
}

// Usage is sums over time.
type Usage struct {
	From     time.Time     `json:"from"`
	To       time.Time     `json:"to"`
	Zone     string        `json:"zone"`
	Interval string        `json:"interval"`
	Buckets  []Bucket      `json:"buckets" nullable:"false"`
	Series   []Series      `json:"series" nullable:"false" doc:"By falling cost"`
	Latency  []Percentiles `json:"latency" nullable:"false" doc:"One for each bucket, within five percent; of more than 200000 requests, of a sample"`
	Overall  Percentiles   `json:"overall"`
	Totals   Sums          `json:"totals" doc:"Of all requests. With group=tag the series overlap: they are not parts of it"`
	Before   Sums          `json:"before" doc:"Of the equally long time before"`
}

func (o *operations) addUsage() {
	type answer struct{ Body Usage }
	register(o, gateway.Viewer, "/api/usage", "get-usage", "Requests, tokens, cost and latency over time", func(ctx context.Context, in *usageInput) (*answer, error) {
		usage, err := o.usage(ctx, in)
		return &answer{usage}, err
	})
}

func (o *operations) usage(ctx context.Context, in *usageInput) (Usage, error) {
	q, u, err := in.query(time.Now())
	if err != nil {
		return Usage{}, err
	}
	q.RequestFilter = ownOnly(ctx, q.RequestFilter)
	sums, err := o.a.Store.Usage(ctx, q)
	if err != nil {
		return Usage{}, err
	}
	whole := sums
	if q.Group == gateway.GroupByTag { // whose groups overlap, and do not hold all
		all := q
		all.Group = 0
		if whole, err = o.a.Store.Usage(ctx, all); err != nil {
			return Usage{}, err
		}
	}
	before := gateway.UsageQuery{RequestFilter: q.RequestFilter, Bounds: []time.Time{u.From.Add(u.From.Sub(u.To)), u.From}}
	earlier, err := o.a.Store.Usage(ctx, before)
	if err != nil {
		return Usage{}, err
	}
	u.fill(sums)
	u.Totals, u.Before = total(whole), total(earlier)
	return u, o.addLatency(ctx, q, &u)
}

// query reads what is asked for, and begins the answer.
func (in *usageInput) query(now time.Time) (gateway.UsageQuery, Usage, error) {
	zone, unknownZone := in.zone()
	from, to, noTime := timeRange(in.From, in.To, now)
	filter, err := in.filter()
	if err = errors.Join(unknownZone, noTime, err); err != nil {
		return gateway.UsageQuery{}, Usage{}, err
	}
	u := Usage{From: from, To: to, Zone: in.Zone, Interval: in.Interval}
	if u.Interval == "" {
		u.Interval = "day"
		if to.Sub(from) <= autoHours {
			u.Interval = "hour"
		}
	}
	bounds := bucketBounds(from, to, u.Interval, zone)
	if bounds == nil {
		return gateway.UsageQuery{}, Usage{}, badParameter("interval", "the time is too long for it: at most 400 buckets.")
	}
	for i := range len(bounds) - 1 {
		u.Buckets = append(u.Buckets, Bucket{bounds[i], bounds[i+1], bounds[i+1].Before(now)})
	}
	group, _ := gateway.ParseDimension(in.Group) // the document lists the names
	return gateway.UsageQuery{RequestFilter: filter, Group: group, Bounds: bounds}, u, nil
}

func (in *usageInput) zone() (*time.Location, error) {
	zone, err := time.LoadLocation(in.Zone)
	if err != nil || in.Zone == "Local" {
		return nil, badParameter("zone", "must be a time zone such as UTC or Europe/Berlin.")
	}
	return zone, nil
}

// bucketBounds cuts a time at the hours or days of a zone; nil if that makes too many pieces.
func bucketBounds(from, to time.Time, interval string, zone *time.Location) []time.Time {
	bounds := []time.Time{from}
	for next := nextBound(from, interval, zone); next.Before(to); next = nextBound(next, interval, zone) {
		if bounds = append(bounds, next); len(bounds) > maxBuckets {
			return nil
		}
	}
	return append(bounds, to)
}

// nextBound is the next beginning of an hour or a day of a zone. Hours go by the clock of
// the zone, whose offset may hold half of one; where a clock is set back, an hour comes twice.
func nextBound(t time.Time, interval string, zone *time.Location) time.Time {
	local := t.In(zone)
	if interval == "day" {
		return time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, zone)
	}
	into := time.Duration(local.Minute())*time.Minute + time.Duration(local.Second())*time.Second + time.Duration(local.Nanosecond())
	return t.Add(time.Hour - into)
}

// fill turns the tables' sums into series.
func (u *Usage) fill(sums []gateway.UsageSum) {
	byGroup := map[string][]gateway.UsageSum{}
	for _, s := range sums {
		byGroup[s.Group] = append(byGroup[s.Group], s)
	}
	var series []Series
	for group, of := range byGroup {
		series = append(series, newSeries(group, of[0].Label, of, len(u.Buckets)))
	}
	slices.SortFunc(series, func(a, b Series) int {
		return compare(b.Totals.CostNanoUSD, a.Totals.CostNanoUSD, b.Totals.Requests, a.Totals.Requests, a.Group, b.Group)
	})
	u.Series = series
	if len(series) > shownGroups+1 {
		var rest []gateway.UsageSum
		for _, s := range series[shownGroups:] {
			rest = append(rest, byGroup[s.Group]...)
		}
		other := newSeries("", "Other", rest, len(u.Buckets))
		other.Other = true
		u.Series = append(series[:shownGroups:shownGroups], other)
	}
	if u.Series == nil {
		u.Series = []Series{}
	}
}

func compare(costA, costB, requestsA, requestsB int64, groupA, groupB string) int {
	switch {
	case costA != costB:
		return sign(costA < costB)
	case requestsA != requestsB:
		return sign(requestsA < requestsB)
	}
	return sign(groupA < groupB)
}

func sign(less bool) int {
	if less {
		return -1
	}
	return 1
}

func newSeries(group, label string, sums []gateway.UsageSum, buckets int) Series {
	points := make([][]gateway.UsageSum, buckets)
	for _, s := range sums {
		points[s.Bucket] = append(points[s.Bucket], s)
	}
	series := Series{Group: group, Label: label, Totals: total(sums)}
	for _, p := range points {
		series.Points = append(series.Points, total(p))
	}
	return series
}

func total(all []gateway.UsageSum) Sums {
	var t Sums
	var duration, ttft time.Duration
	var answered int64
	for _, s := range all {
		t.Requests += s.Requests
		t.Failed += s.Failed
		t.PromptTokens += s.Tokens.Prompt
		t.CachedTokens += s.Tokens.Cached
		t.CompletionTokens += s.Tokens.Completion
		t.ReasoningTokens += s.Tokens.Reasoning
		t.CostNanoUSD += int64(s.Cost)
		t.Unpriced += s.Unpriced
		t.Estimated += s.Estimated
		duration, ttft, answered = duration+s.Duration, ttft+s.TTFT, answered+s.Answered
	}
	t.CostUSD = gateway.Money(t.CostNanoUSD).String()
	t.DurationMS, t.TTFTMS = average(duration, t.Requests), average(ttft, answered)
	return t
}

func average(sum time.Duration, n int64) *int64 {
	if n == 0 {
		return nil
	}
	ms := sum.Milliseconds() / n
	return &ms
}

func (o *operations) addLatency(ctx context.Context, q gateway.UsageQuery, u *Usage) error {
	q.Group = 0
	l, err := o.a.Store.Latencies(ctx, q, u.Totals.Requests)
	if err != nil {
		return err
	}
	of := func(bucket int) Percentiles {
		return Percentiles{percentile(l.TTFT, bucket, 0.5), percentile(l.TTFT, bucket, 0.95), percentile(l.Whole, bucket, 0.5), percentile(l.Whole, bucket, 0.95)}
	}
	for i := range u.Buckets {
		u.Latency = append(u.Latency, of(i))
	}
	u.Overall = of(allBuckets)
	return nil
}

// allBuckets stands for every bucket.
const allBuckets = -1

// percentile is the duration, in milliseconds, that a share of a bucket's requests kept below.
func percentile(counts []gateway.LatencyCount, bucket int, share float64) *int64 {
	var own []gateway.LatencyCount
	var n int64
	for _, c := range counts {
		if c.Bucket == bucket || bucket == allBuckets {
			own = append(own, c)
			n += c.Requests
		}
	}
	slices.SortFunc(own, func(a, b gateway.LatencyCount) int { return int(a.Duration - b.Duration) })
	wanted := int64(math.Ceil(share * float64(n)))
	for _, c := range own {
		if wanted -= c.Requests; wanted <= 0 && c.Requests > 0 {
			ms := c.Duration.Milliseconds()
			return &ms
		}
	}
	return nil
}
