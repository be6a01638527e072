package gateway

import "time"

// GatewayKeyPrefix is what every key of the gateway's own begins with.
const GatewayKeyPrefix = "agw_"

// Headers with which clients bring keys, besides Authorization and AzureKeyHeader. None of
// them reaches a provider.
const (
	XAPIKeyHeader     = "x-api-key"
	ProviderKeyHeader = "x-provider-key" // a provider's key of the client's own, beside a gateway key
)

// Credentials are the headers of a request by which it may say whose it is, and the
// client's address.
type Credentials struct {
	Authorization string
	APIKey        string // api-key
	XAPIKey       string // x-api-key
	ProviderKey   string // x-provider-key
	Repeated      string // the name of one of them that came twice, with different values; "" for none
	Client        string // the client's address
}

// Caller is who a request comes from and what it may do. It is shared and never changed.
type Caller struct {
	Key   Key    // as rows name it
	User  string // whom the usage is booked to; "" for nobody that is known
	Team  string // "" for none
	Tags  string // of the key, as a JSON object; "" for none
	Grant *Grant // nil for clients without a gateway key, which only an open gateway lets in
}

// MayUse reports whether the caller may use a model.
func (c *Caller) MayUse(m Model) bool { return c.Grant == nil || c.Grant.MayUse(m) }

// Role is the caller's. On an open gateway everybody is an admin.
func (c *Caller) Role() Role {
	if c.Grant == nil {
		return Admin
	}
	return c.Grant.Role
}

// Admission is what the headers of a request allow.
type Admission struct {
	Caller        *Caller
	Authorization string                   // with the client's own key of a provider, for backends that take it; "" for none
	APIKey        string                   // such a key that goes into the header x-api-key instead; "" for none
	Ended         func(now time.Time) bool // whether the key was revoked or has expired since; nil: it cannot
}
