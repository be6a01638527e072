package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

// randomRows begin within three days after noon.
func randomRows(t *testing.T, r *rand.Rand, n int) (rows []*gateway.Row) {
	for range n {
		rows = append(rows, rowAt(t, noon.Add(time.Duration(r.Int64N(int64(72*time.Hour)))), func(row *gateway.Row) {
			row.Model, row.Backend = gateway.Model(fmt.Sprint("m", r.IntN(3))), fmt.Sprint("b", r.IntN(2))
			row.KeyID, row.KeyLabel, row.Team = gateway.KeyID(fmt.Sprint("k", r.IntN(3))), "a key", fmt.Sprint("t", r.IntN(2))
			if r.IntN(4) == 0 {
				row.Cost, row.TTFT, row.Outcome = gateway.Cost{}, 0, gateway.ProviderClosed
			}
		}))
	}
	return rows
}

func TestSumsOfAnyTimeAreThoseOfItsRequests(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		r := rand.New(rand.NewPCG(1, 2))
		write(t, s, randomRows(t, r, 300)...)
		for range 40 {
			bounds := []time.Time{noon.Add(time.Duration(r.Int64N(int64(24 * time.Hour)))).Truncate(time.Microsecond)}
			for range 1 + r.IntN(4) {
				step := []time.Duration{30 * time.Minute, time.Hour, 90 * time.Minute, 24 * time.Hour}[r.IntN(4)]
				bounds = append(bounds, bounds[len(bounds)-1].Add(step).Truncate([]time.Duration{1, time.Hour}[r.IntN(2)]))
			}
			group := gateway.Dimension(r.IntN(int(gateway.GroupByTeam) + 1))
			filter := gateway.RequestFilter{Model: []gateway.Model{"", "m1"}[r.IntN(2)], Key: []gateway.KeyID{"", "k2"}[r.IntN(2)]}
			got, err := s.Usage(t.Context(), gateway.UsageQuery{RequestFilter: filter, Group: group, Bounds: bounds})
			do(t, err)
			requests, err := s.sum(t.Context(), partsOf(bounds, false), groupColumn(group), "''", filter)
			do(t, err)
			want := []gateway.UsageSum{}
			for i := range requests {
				want = append(want, requests[i].usage())
			}
			for i := range got {
				got[i].Label, want[i].Label = "", ""
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%v by %v, %+v: %s", bounds, group, filter, diff)
			}
		}
	})
}

func TestCostsAreThoseOfTheTimeAndTagsAreGroupsOfTheirOwn(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		write(t, s, rowAt(t, noon, nil), rowAt(t, noon.Add(time.Hour), func(r *gateway.Row) { r.Tags = `{"feature":"x","stage":"test"}` }))
		for filter, want := range map[gateway.RequestFilter]int64{
			{}:                              2,
			{From: noon.Add(time.Minute)}:   1,
			{To: noon.Add(time.Minute)}:     1,
			{Key: row().KeyID}:              2,
			{Outcome: "ok"}:                 2,
			{From: noon.Add(2 * time.Hour)}: 0,
		} {
			costs, err := s.Costs(t.Context(), filter)
			do(t, err)
			var n int64
			for _, k := range costs {
				n += k.Requests
			}
			if n != want {
				t.Errorf("%+v: %d requests, want %d", filter, n, want)
			}
		}
		sums, err := s.Usage(t.Context(), gateway.UsageQuery{Group: gateway.GroupByTag, Bounds: []time.Time{noon, noon.Add(2 * time.Hour)}})
		do(t, err)
		got := map[string]int64{}
		for _, sum := range sums {
			got[sum.Group] = sum.Requests
		}
		if diff := cmp.Diff(map[string]int64{"feature=search": 1, "feature=x": 1, "stage=test": 1}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestManyBucketsAreAddedUpInSeveralQueries(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		var bounds []time.Time
		for i := range 401 { // days of a zone whose clock is half an hour off: each has three parts
			bounds = append(bounds, noon.Add(30*time.Minute).AddDate(0, 0, i))
		}
		write(t, s, rowAt(t, noon.Add(31*time.Minute), nil), rowAt(t, noon.AddDate(0, 0, 399).Add(13*time.Hour), nil))
		sums, err := s.Usage(t.Context(), gateway.UsageQuery{Bounds: bounds})
		if err != nil || len(sums) != 2 || sums[0].Bucket != 0 || sums[1].Bucket != 399 {
			t.Errorf("%+v, %v", sums, err)
		}
	})
}

func TestASampleOfLatenciesIsOfEveryBucket(t *testing.T) {
	bounds := []time.Time{noon, noon.Add(24 * time.Hour), noon.Add(48 * time.Hour)}
	var times [2]time.Duration
	for _, p := range sampleOf(bounds, 10*sampled) {
		times[p.bucket] += p.to.Sub(p.from)
	}
	for _, of := range times {
		if of < 143*time.Minute || of > 145*time.Minute {
			t.Errorf("%s of a day, want a tenth", of)
		}
	}
}

func TestPromptsAreChosenByFilter(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		first := rowAt(t, noon, func(r *gateway.Row) { r.Prompt, r.Answer = "Where is 100% of Ä_x?", "Here" })
		second := rowAt(t, noon.Add(time.Minute), func(r *gateway.Row) {
			r.Prompt, r.Answer, r.Model, r.KeyID, r.Status = "other", "WHERE", "m2", "k2", 500
		})
		write(t, s, first, second)
		for name, c := range map[string]struct {
			filter gateway.PromptFilter
			want   int
		}{
			"all":                {gateway.PromptFilter{}, 2},
			"text, any case":     {gateway.PromptFilter{Text: "where"}, 2},
			"text with a %":      {gateway.PromptFilter{Text: "100% OF"}, 1},
			"a % is no pattern":  {gateway.PromptFilter{Text: "1%f"}, 0},
			"an _ is no pattern": {gateway.PromptFilter{Text: "h_re"}, 0},
			"status":             {gateway.PromptFilter{Status: 500}, 1},
			"model":              {gateway.PromptFilter{RequestFilter: gateway.RequestFilter{Model: "m2"}}, 1},
			"key":                {gateway.PromptFilter{RequestFilter: gateway.RequestFilter{Key: "k2"}}, 1},
			"from":               {gateway.PromptFilter{RequestFilter: gateway.RequestFilter{From: noon.Add(time.Second)}}, 1},
			"to":                 {gateway.PromptFilter{RequestFilter: gateway.RequestFilter{To: noon}}, 0},
			"quotes":             {gateway.PromptFilter{Text: `' OR 1=1 --`}, 0},
		} {
			if got, err := s.Prompts(t.Context(), c.filter, gateway.RequestPlace{}, 10); err != nil || len(got) != c.want {
				t.Errorf("%s: %d entries, %v; want %d", name, len(got), err, c.want)
			}
		}
		page, err := s.Prompts(t.Context(), gateway.PromptFilter{}, gateway.RequestPlace{StartedAt: second.StartedAt, ID: second.ID}, 10)
		if err != nil || len(page) != 1 || page[0].ID != first.ID || page[0].Status != 200 {
			t.Errorf("%+v, %v", page, err)
		}
	})
}
