package gateway

import "fmt"

// Role says what the holder of a gateway key may do. A larger one may do all that a
// smaller one may. Zero is no role: nobody that the gateway knows.
type Role uint8

// The roles.
const (
	Member Role = iota + 1 // calls models and sees what its own key did
	Admin                  // also sees everybody's usage, and makes and changes keys
)

var roleNames = [...]string{Member: "member", Admin: "admin"}

// String returns the name used in the API and in the tables.
func (r Role) String() string { return nameOf(roleNames[:], r) }

// ParseRole reads a role's name.
func ParseRole(name string) (Role, error) {
	for r := Member; r <= Admin; r++ {
		if r.String() == name {
			return r, nil
		}
	}
	return 0, fmt.Errorf("must be member or admin, not %q", name)
}

// MarshalText writes the role's name.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a role's name.
func (r *Role) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRole(string(text))
	return err
}
