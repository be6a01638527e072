package gateway

import "fmt"

// Role says what a person, or the holder of a gateway key, may do. A larger one may ask all that
// a smaller one may. Zero is no role: nobody that the gateway knows.
type Role uint8

// The roles.
const (
	Viewer Role = iota + 1 // sees everybody's usage without prompts, and calls no models
	Member                 // calls models, and sees its own keys, usage and prompts
	Admin                  // also sees all, and makes and changes keys and people
)

var roleNames = [...]string{Viewer: "viewer", Member: "member", Admin: "admin"}

// SeesAll reports whether a role sees everybody's usage.
func (r Role) SeesAll() bool { return r == Viewer || r == Admin }

// String returns the name used in the API and in the tables.
func (r Role) String() string { return nameOf(roleNames[:], r) }

// ParseRole reads a role's name.
func ParseRole(name string) (Role, error) {
	for r := Viewer; r <= Admin; r++ {
		if r.String() == name {
			return r, nil
		}
	}
	return 0, fmt.Errorf("must be viewer, member or admin, not %q", name)
}

// MarshalText writes the role's name.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a role's name.
func (r *Role) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRole(string(text))
	return err
}
