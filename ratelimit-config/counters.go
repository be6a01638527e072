package ratelimitconfig

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	descriptor "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	ratelimit "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"github.com/envoyproxy/ratelimit/src/config"
	"github.com/envoyproxy/ratelimit/src/limiter"
	"github.com/envoyproxy/ratelimit/src/utils"

	"ai-gateway/gateway"
)

// counters are the memory of envoyproxy/ratelimit's limiter in this process; its own caches
// need Redis or memcached. A count belongs to a rule and a subject, not to a tier, so it
// survives a change of the limit.
type counters struct {
	now  func() time.Time
	base *limiter.BaseRateLimiter
	most int // counts of one length of period

	mu      sync.Mutex
	periods map[int64]*period // by length in seconds
}

// period is the current one of a length.
type period struct {
	number int64 // since the epoch
	hits   map[counter]uint64
}

// counter identifies a count: a rule and a subject.
type counter struct{ rule, subject string }

// maxCounts bounds the memory to about 100 MB for each length of period, because clients choose
// the names of models.
const maxCounts = 1 << 20

// watchEvery is how often the counts are compared with their bound.
const watchEvery = time.Second

var errFull = errors.New("the limits have reached their largest number of counters")

// nearRatio is a parameter of statistics that are not kept.
const nearRatio = 1

func newCounters(now func() time.Time) *counters {
	c := &counters{now: now, most: maxCounts, periods: map[int64]*period{}}
	c.base = limiter.NewBaseRateLimit(c, nil, 0, nil, nearRatio, "", uncounted{})
	return c
}

var (
	_ limiter.RateLimitCache = (*counters)(nil)
	_ utils.TimeSource       = (*counters)(nil)
)

// UnixNow is the time in seconds.
func (c *counters) UnixNow() int64 { return c.now().Unix() }

// Flush does nothing: hits are counted at once.
func (c *counters) Flush() {}

// DoLimit counts a request's hits at all limits or, if one refuses, at none. Zero hits only
// look. It panics with errFull, because the interface has no error.
func (c *counters) DoLimit(_ context.Context, r *ratelimit.RateLimitRequest, limits []*config.RateLimit) []*ratelimit.RateLimitResponse_DescriptorStatus {
	hits := utils.GetHitsAddends(r)
	before := make([]uint64, len(limits))
	now := c.UnixNow()
	c.mu.Lock()
	defer c.mu.Unlock()
	refused := false
	for i, d := range r.GetDescriptors() {
		before[i] = c.at(now, secondsOf(limits[i])).look(counterOf(d), hits[i], c.most)
		refused = refused || exceeds(before[i]+hits[i], limits[i])
	}
	statuses := make([]*ratelimit.RateLimitResponse_DescriptorStatus, len(limits))
	for i, d := range r.GetDescriptors() {
		after := before[i] + hits[i]
		switch {
		case !refused && hits[i] > 0:
			c.at(now, secondsOf(limits[i])).hits[counterOf(d)] = after
		case refused && !exceeds(after, limits[i]):
			after = before[i] // another limit refuses
		}
		info := limiter.NewRateLimitInfo(limits[i], before[i], after, 0, 0)
		statuses[i] = c.base.GetResponseDescriptorStatus(limits[i].FullKey, info, false, hits[i])
	}
	return statuses
}

// charge adds hits without a check.
func (c *counters) charge(of counter, length time.Duration, hits int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.at(c.UnixNow(), int64(length/time.Second))
	if p.isFull(of, c.most) {
		return errFull
	}
	p.hits[of] += uint64(max(hits, 0))
	return nil
}

// use is the fullest period's number of counts, in percent of the largest number.
func (c *counters) use() (percent int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for seconds, p := range c.periods {
		if p.number >= c.UnixNow()/seconds { // else it is over
			percent = max(percent, 100*len(p.hits)/c.most)
		}
	}
	return percent
}

// watch logs when the counts come near their largest number, and when that is over.
func (c *counters) watch(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for told := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		near := c.use() >= gateway.NearFull
		switch {
		case near && !told:
			log.Warn("the counters of limits are nearly all in use; limits without a counter cannot be checked", "most", c.most)
		case told && !near:
			log.Info("the counters of limits have room again")
		}
		told = near
	}
}

// len is the number of counts.
func (c *counters) len() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.periods {
		n += len(p.hits)
	}
	return n
}

// at is the period of a length at a time. A clock that is set back by less than a period
// starts no new one.
func (c *counters) at(now, seconds int64) *period {
	number := now / seconds
	p := c.periods[seconds]
	if p == nil || number > p.number || number < p.number-1 {
		p = &period{number: number, hits: map[counter]uint64{}}
		c.periods[seconds] = p
	}
	return p
}

// look is a count, of which hits are about to be added.
func (p *period) look(of counter, hits uint64, most int) uint64 {
	if hits > 0 && p.isFull(of, most) {
		panic(errFull)
	}
	return p.hits[of]
}

func (p *period) isFull(of counter, most int) bool {
	if len(p.hits) < most {
		return false
	}
	_, counted := p.hits[of]
	return !counted
}

func counterOf(d *descriptor.RateLimitDescriptor) counter {
	last := d.GetEntries()[len(d.GetEntries())-1]
	return counter{last.GetKey(), last.GetValue()}
}

func exceeds(hits uint64, l *config.RateLimit) bool {
	return hits > uint64(l.Limit.GetRequestsPerUnit())
}

func secondsOf(l *config.RateLimit) int64 { return utils.UnitToDivider(l.Limit.GetUnit()) }
