package gateway

// KeyLimits are limits of a single key. Nil means the limit of the configuration; zero lets
// nothing through.
type KeyLimits struct {
	RequestsPerMinute *int64 `json:"requests_per_minute,omitempty"`
	RequestsPerHour   *int64 `json:"requests_per_hour,omitempty"`
	RequestsPerDay    *int64 `json:"requests_per_day,omitempty"`
	TokensPerMinute   *int64 `json:"tokens_per_minute,omitempty"`
	TokensPerHour     *int64 `json:"tokens_per_hour,omitempty"`
	TokensPerDay      *int64 `json:"tokens_per_day,omitempty"`
	InFlight          *int64 `json:"in_flight,omitempty"` // requests at one time
}

// MaxKeyLimit is the largest value of a key's limit: limits are counted in 32 bits.
const MaxKeyLimit = 1<<32 - 1

// KeyLimitNames returns the names of all limits of a key.
func KeyLimitNames() []string {
	return []string{"requests_per_minute", "requests_per_hour", "requests_per_day", "tokens_per_minute", "tokens_per_hour", "tokens_per_day", "in_flight"}
}

// Named returns the limit of a name, or nil if there is none of that name.
func (l *KeyLimits) Named(name string) **int64 {
	switch name {
	case "requests_per_minute":
		return &l.RequestsPerMinute
	case "requests_per_hour":
		return &l.RequestsPerHour
	case "requests_per_day":
		return &l.RequestsPerDay
	case "tokens_per_minute":
		return &l.TokensPerMinute
	case "tokens_per_hour":
		return &l.TokensPerHour
	case "tokens_per_day":
		return &l.TokensPerDay
	case "in_flight":
		return &l.InFlight
	}
	return nil
}
