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
	Session       string // the secret of a person's session, from a cookie; "" for none
	SessionBound  bool   // the cookie's name says that only this host can have set it, over HTTPS
	Client        string // the client's address
}

// Caller is who a request comes from and what it may do. It is shared and never changed.
type Caller struct {
	Key   Key    // as rows name it
	User  string // whom the usage is booked to; "" for nobody that is known
	Team  string // "" for none
	Tags  string // of the key, as a JSON object; "" for none
	Grant *Grant // nil for clients without a gateway key, which only an open gateway lets in

	Person UserID // who has signed in; "" where a key says who calls
}

// MayUse reports whether the caller may use a model.
func (c *Caller) MayUse(m Model) bool {
	return c.Grant == nil || c.Grant.Role >= Member && c.Grant.MayUse(m)
}

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
	Backend       string                   // the only one that Authorization is for; "" is any
	Ended         func(now time.Time) bool // whether the key was revoked or has expired since; nil: it cannot
}

// For is the Authorization, and the key in x-api-key, that a plan's backends may have. A key that is
// for one backend goes out only where no other one of the plan would get it.
func (a *Admission) For(p *Plan) (authorization, apiKey string) {
	if len(p.ClientKeys) == 0 || a.Backend != "" && (len(p.ClientKeys) != 1 || p.ClientKeys[0] != a.Backend) {
		return "", ""
	}
	return a.Authorization, a.APIKey
}
