package ratelimitconfig

import (
	"github.com/envoyproxy/ratelimit/src/stats"
	gostats "github.com/lyft/gostats"
)

// uncounted is a stats manager that counts nothing, for code of envoyproxy/ratelimit that needs
// one. Its own keeps six statistics for every limit that ever existed; ours are in Stats.
type uncounted struct{}

func (uncounted) NewStats(key string) stats.RateLimitStats {
	c := nothing{}
	return stats.RateLimitStats{Key: key, TotalHits: c, OverLimit: c, NearLimit: c, OverLimitWithLocalCache: c, WithinLimit: c, ShadowMode: c}
}

func (uncounted) NewDomainStats(key string) stats.DomainStats {
	return stats.DomainStats{Key: key, NotFound: nothing{}}
}

func (uncounted) NewShouldRateLimitStats() stats.ShouldRateLimitStats {
	return stats.ShouldRateLimitStats{RedisError: nothing{}, ServiceError: nothing{}}
}

func (u uncounted) NewServiceStats() stats.ServiceStats {
	c := nothing{}
	return stats.ServiceStats{ConfigLoadSuccess: c, ConfigLoadError: c, GlobalShadowMode: c, ShouldRateLimit: u.NewShouldRateLimitStats()}
}

func (uncounted) GetStatsStore() gostats.Store { return nil }

// nothing is a counter that counts nothing.
type nothing struct{}

func (nothing) Add(uint64)     {}
func (nothing) Inc()           {}
func (nothing) Set(uint64)     {}
func (nothing) String() string { return "0" }
func (nothing) Value() uint64  { return 0 }
