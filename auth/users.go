package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"ai-gateway/gateway"
)

// UserStore keeps people, their sessions and teams, and an audit entry with each change.
type UserStore interface {
	// AddUser adds the person that draft makes. draft is called with the person who has the same
	// address.
	AddUser(ctx context.Context, by gateway.Actor, email string, draft func(same []gateway.UserRecord) (gateway.UserRecord, error)) (gateway.UserRecord, error)
	// ChangeUser replaces a person by what change makes of them, or returns gateway.ErrNoUser.
	// change is called with the number of other administrators.
	ChangeUser(ctx context.Context, id gateway.UserID, action string, by gateway.Actor, admin func(*gateway.User) bool, change func(u *gateway.UserRecord, otherAdmins int) error) (gateway.UserRecord, error)
	Users(context.Context) ([]gateway.UserRecord, error)
	User(context.Context, gateway.UserID) (gateway.UserRecord, error)
	Sessions(context.Context, gateway.UserID) ([]gateway.SessionRecord, error)
	// EndSessions ends one session, or all of a person, and returns them. An empty of matches
	// anybody.
	EndSessions(ctx context.Context, by gateway.Actor, id string, of gateway.UserID, at time.Time) ([]*gateway.SessionRecord, error)
	Teams(context.Context) ([]gateway.Team, error)
	PutTeam(ctx context.Context, name string, by gateway.Actor, change func(*gateway.Team) error) (gateway.TeamRecord, error)
}

// Users invites and changes people, and keeps what they save.
type Users struct {
	UserStore
	Settings func() gateway.SignIn
	Vault    Vault
	Gate     *Gate // takes over each change; may be nil
	Now      func() time.Time
}

// now is the time as both stores keep it.
func (s *Users) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// userSetter reads a field's value into a person.
type userSetter func(u *gateway.UserRecord, value json.RawMessage) error

// userSetters are the fields of a person that an administrator may set. Their identity at the
// provider and their saved settings are not among them.
func (s *Users) userSetters() map[string]userSetter {
	return map[string]userSetter{
		"role": func(u *gateway.UserRecord, v json.RawMessage) error {
			u.RoleByHand = true
			return setRole(&u.Role, v)
		},
		"team": func(u *gateway.UserRecord, v json.RawMessage) error { return setName(&u.Team, v) },
		"budget": func(u *gateway.UserRecord, v json.RawMessage) (err error) {
			u.Budget, err = readBudgets(v)
			return err
		},
		"blocked": s.setBlocked,
	}
}

func (s *Users) setBlocked(u *gateway.UserRecord, v json.RawMessage) error {
	blocked := false
	if err := setTruth(&blocked, v); err != nil {
		return err
	}
	switch {
	case !blocked:
		u.BlockedAt = nil
	case u.BlockedAt == nil:
		now := s.now()
		u.BlockedAt = &now
	}
	return nil
}

// applyUser sets the fields of a person. Any other one is refused.
func (f fields) applyUser(u *gateway.UserRecord, setters map[string]userSetter, names string) error {
	for _, said := range f {
		set, ok := setters[said.name]
		if !ok {
			return bad(said.name, "cannot be set here: there are "+names+".")
		}
		if err := set(u, said.value); err != nil {
			return withName(said.name, err)
		}
	}
	return nil
}

// Invite adds a person with an email address and the fields of a JSON object.
func (s *Users) Invite(ctx context.Context, by gateway.Actor, body []byte) (gateway.User, error) {
	settings := s.Settings()
	if !settings.IsOn() {
		return gateway.User{}, errNobodySignsIn
	}
	said, err := readFields(body)
	if err != nil {
		return gateway.User{}, err
	}
	email := ""
	setters := s.userSetters()
	setters["email"] = func(_ *gateway.UserRecord, v json.RawMessage) error {
		text, err := read[string](v, "an e-mail address")
		if email = strings.ToLower(strings.TrimSpace(text)); err == nil && !isAddress(email) {
			err = errors.New("must be an e-mail address")
		}
		return err
	}
	now := s.now()
	u := gateway.UserRecord{User: gateway.User{ID: newUserID(), Role: gateway.Member, CreatedAt: now, InvitedAt: &now}}
	if err := said.applyUser(&u, setters, "email, role, team, budget"); err != nil {
		return gateway.User{}, err
	}
	if email == "" {
		return gateway.User{}, bad("email", "is missing: it is whom to let in.")
	}
	u.Name, u.Email = email, email
	u, err = s.AddUser(ctx, by, email, func(same []gateway.UserRecord) (gateway.UserRecord, error) {
		if len(same) > 0 {
			return u, conflict("user_exists", "email", "There is somebody with this address already.")
		}
		return u, nil
	})
	return s.apply(u, err)
}

// Update sets the fields of a person that a JSON object names. The last administrator keeps the
// role, because nobody else could restore it.
func (s *Users) Update(ctx context.Context, by gateway.Actor, id gateway.UserID, body []byte) (gateway.User, error) {
	said, err := readFields(body)
	switch {
	case err != nil:
		return gateway.User{}, err
	case len(said) == 0:
		return gateway.User{}, bad("", "The body names no field to change.")
	}
	settings := s.Settings()
	u, err := s.ChangeUser(ctx, id, actionOf(said), by, isAdmin(&settings), func(u *gateway.UserRecord, otherAdmins int) error {
		was := isAdmin(&settings)(&u.User) && !u.Blocked()
		if err := said.applyUser(u, s.userSetters(), "role, team, budget, blocked"); err != nil {
			return err
		}
		remains := u.Role == gateway.Admin && !u.Blocked()
		switch {
		case was && !remains && otherAdmins == 0:
			return conflict("last_admin", "", "This is the last administrator, who stays one: make somebody else an administrator first.")
		case settings.IsAdmin(u.Email) && u.Role != gateway.Admin:
			return conflict("admin_by_configuration", "role", "This is an administrator by the configuration (AI_GATEWAY_ADMINS): change it there.")
		}
		return nil
	})
	return s.apply(u, err)
}

// actionOf is the audit log's name for a change of a person.
func actionOf(said fields) string {
	for _, f := range said {
		switch {
		case f.name == "blocked" && string(f.value) == "true":
			return "user.block"
		case f.name == "blocked":
			return "user.unblock"
		}
	}
	return "user.update"
}

func isAdmin(settings *gateway.SignIn) func(*gateway.User) bool {
	return func(u *gateway.User) bool { return settings.RoleOf(u) == gateway.Admin }
}

func (s *Users) apply(u gateway.UserRecord, err error) (gateway.User, error) {
	if err == nil && s.Gate != nil {
		s.Gate.ApplyUser(&u)
	}
	return u.User, err
}

const maxSecret = 4096 // bytes of a provider's key

// SaveSettings sets a person's own settings from the fields of a JSON object. Only the person may
// change them.
func (s *Users) SaveSettings(ctx context.Context, id gateway.UserID, body []byte) (gateway.UserSettings, error) {
	said, err := readFields(body)
	if err != nil {
		return gateway.UserSettings{}, err
	}
	setters := map[string]userSetter{
		"provider":     func(u *gateway.UserRecord, v json.RawMessage) error { return setName(&u.Settings.Provider, v) },
		"model":        func(u *gateway.UserRecord, v json.RawMessage) error { return setName((*string)(&u.Settings.Model), v) },
		"theme":        func(u *gateway.UserRecord, v json.RawMessage) error { return setTheme(&u.Settings.Theme, v) },
		"provider_key": s.setProviderKey,
		"key_provider": func(u *gateway.UserRecord, v json.RawMessage) error { return setName(&u.Settings.KeyProvider, v) },
	}
	u, err := s.ChangeUser(ctx, id, "", gateway.Actor{}, nil, func(u *gateway.UserRecord, _ int) error {
		if err := said.applyUser(u, setters, "provider, model, theme, provider_key, key_provider"); err != nil {
			return err
		}
		if u.Settings.ProviderKey != "" && u.Settings.KeyProvider == "" {
			return bad("key_provider", "is missing: it is the backend that the key is for, and no other one gets it.")
		}
		return nil
	})
	_, err = s.apply(u, err)
	return u.Settings, err
}

func setTheme(into *string, v json.RawMessage) error {
	const wanted = "light, dark, or null for that of the system"
	theme := ""
	if !isNull(v) {
		var err error
		if theme, err = read[string](v, wanted); err != nil {
			return err
		}
	}
	if theme != "" && theme != "light" && theme != "dark" {
		return errors.New("must be " + wanted)
	}
	*into = theme
	return nil
}

// setProviderKey saves a key encrypted; null removes it.
func (s *Users) setProviderKey(u *gateway.UserRecord, v json.RawMessage) error {
	if isNull(v) {
		u.Settings.ProviderKey, u.Settings.KeyHint, u.Settings.KeyProvider = "", "", ""
		return nil
	}
	key, err := read[string](v, "a provider's key, or null for none")
	switch {
	case err != nil:
		return err
	case key == "" || len(key) > maxSecret || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }):
		return fmt.Errorf("must have 1 to %d printable ASCII characters without spaces", maxSecret)
	case strings.Contains(key, gateway.GatewayKeyPrefix) || strings.Contains(key, gateway.SessionPrefix):
		return errors.New("must be a provider's key, and not one of this gateway")
	case !s.Vault.IsOpen():
		return conflict("no_encryption_key", "provider_key", "Keys cannot be saved here: AI_GATEWAY_ENCRYPTION_KEY is not set.")
	}
	u.Settings.ProviderKey, err = s.Vault.Seal(u.ID, key)
	u.Settings.KeyHint = hint(key)
	return err
}

// hint is enough of a key for its owner to recognise it.
func hint(key string) string {
	if utf8.RuneCountInString(key) < labelled {
		return "…"
	}
	return "…" + key[len(key)-labelEnd:]
}

// Reseal encrypts secrets of older keys with the newest one, and returns how many cannot be
// decrypted at all.
func (s *Users) Reseal(ctx context.Context) (lost int, err error) {
	users, err := s.UserStore.Users(ctx)
	for i := range users {
		u := &users[i]
		if err != nil || u.Settings.ProviderKey == "" || s.Vault.IsNewest(u.Settings.ProviderKey) {
			continue
		}
		if _, fault := s.Vault.Unseal(u.ID, u.Settings.ProviderKey); fault != nil {
			lost++
			continue
		}
		var now gateway.UserRecord
		now, err = s.ChangeUser(ctx, u.ID, "", gateway.Actor{}, nil, s.reseal)
		_, err = s.apply(now, err)
	}
	return lost, err
}

// reseal encrypts what one person has saved, who may have taken it away or saved another one meanwhile.
func (s *Users) reseal(u *gateway.UserRecord, _ int) error {
	if u.Settings.ProviderKey == "" || s.Vault.IsNewest(u.Settings.ProviderKey) {
		return nil
	}
	key, err := s.Vault.Unseal(u.ID, u.Settings.ProviderKey)
	if err == nil {
		u.Settings.ProviderKey, err = s.Vault.Seal(u.ID, key)
	}
	return err
}

// EndSessions ends the session with an id, or with "" all of a person. of is the required owner; ""
// matches anybody.
func (s *Users) EndSessions(ctx context.Context, by gateway.Actor, id string, of gateway.UserID) (int, error) {
	ended, err := s.UserStore.EndSessions(ctx, by, id, of, s.now())
	for _, session := range ended {
		if err == nil && s.Gate != nil {
			s.Gate.ApplySession(session)
		}
	}
	return len(ended), err
}

// PutTeam makes a team, or changes it, by the fields of a JSON object.
func (s *Users) PutTeam(ctx context.Context, by gateway.Actor, name string, body []byte) (gateway.Team, error) {
	said, err := readFields(body)
	if err != nil {
		return gateway.Team{}, err
	}
	if name == "" || plain(name) != nil {
		return gateway.Team{}, bad("name", fmt.Sprintf("must have 1 to %d printable characters.", maxName))
	}
	team, err := s.UserStore.PutTeam(ctx, name, by, func(t *gateway.Team) error {
		for _, f := range said {
			if f.name != "budget" {
				return bad(f.name, "cannot be set here: there is budget.")
			}
			budget, err := readBudgets(f.value)
			if err != nil {
				return withName(f.name, err)
			}
			t.Budget = budget
		}
		return nil
	})
	if err == nil && s.Gate != nil {
		s.Gate.ApplyTeam(&team)
	}
	return team.Team, err
}

var errNobodySignsIn = conflict("sign_in_off", "", "People cannot sign in here yet, so nobody can be invited: GET /gateway-auth-config says what is missing.")

func conflict(code, param, message string) *gateway.Error {
	return &gateway.Error{Status: http.StatusConflict, Type: "invalid_request_error", Code: code, Param: param, Message: message}
}
