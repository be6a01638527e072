package dashboardapi

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ai-gateway/gateway"
)

// People reads and changes people, their sessions and teams. Bodies are JSON objects; a fault in
// one is a *gateway.Error that names the parameter.
type People interface {
	Users(context.Context) ([]gateway.UserRecord, error)
	User(context.Context, gateway.UserID) (gateway.UserRecord, error) // gateway.ErrNoUser
	Invite(ctx context.Context, by gateway.Actor, body []byte) (gateway.User, error)
	Update(ctx context.Context, by gateway.Actor, id gateway.UserID, body []byte) (gateway.User, error)
	SaveSettings(ctx context.Context, id gateway.UserID, body []byte) (gateway.UserSettings, error)
	Sessions(context.Context, gateway.UserID) ([]gateway.SessionRecord, error) // the newest first
	// EndSessions ends one session, or with "" all of a person, and returns how many. An empty of
	// matches anybody.
	EndSessions(ctx context.Context, by gateway.Actor, id string, of gateway.UserID) (int, error)
	Teams(context.Context) ([]gateway.Team, error)
	PutTeam(ctx context.Context, by gateway.Actor, name string, body []byte) (gateway.Team, error)
}

const (
	usersPath    = "/api/users"
	settingsPath = "/api/settings"
	sessionsPath = "/api/sessions"
	teamsPath    = "/api/teams"
	maxUserBody  = 64 << 10 // bytes
)

// UserEntry is a person as the API shows them.
type UserEntry struct {
	ID         gateway.UserID      `json:"id"`
	Name       string              `json:"user_id" doc:"What usage is booked to; it never changes"`
	Email      string              `json:"email"`
	FullName   string              `json:"name"`
	Role       gateway.Role        `json:"role" enum:"viewer,member,admin" doc:"In force: administrators by configuration are that whatever is saved"`
	ByConfig   bool                `json:"admin_by_configuration"`
	Team       string              `json:"team"`
	Budget     []gateway.KeyBudget `json:"budget" doc:"Null leaves what the configuration says"`
	Status     string              `json:"status" enum:"active,invited,blocked"`
	CreatedAt  time.Time           `json:"created_at"`
	SignedInAt *time.Time          `json:"signed_in_at" doc:"The last time; null for who never has"`
}

// UserPage is all people.
type UserPage struct {
	Data []UserEntry `json:"data" nullable:"false"`
}

// NewUser is the body of an invitation.
type NewUser struct {
	Email string `json:"email" doc:"Who signs in with it, verified, is let in"`
	UserFields
}

// UserChange is the body of a change of a person. Fields that are left out stay unchanged.
type UserChange struct {
	UserFields
	Blocked bool `json:"blocked,omitempty" doc:"Ends the person's sessions and keys within a second"`
}

// UserFields are those of a person that an administrator may set.
type UserFields struct {
	Role   gateway.Role `json:"role,omitempty" enum:"viewer,member,admin" doc:"No claim of the provider changes it then"`
	Team   *string      `json:"team,omitempty" nullable:"true" maxLength:"100"`
	Budget []KeyBudget  `json:"budget,omitempty" doc:"Of all usage of the person; each period at most once, null for none"`
}

// SavedSettings are a person's saved settings.
type SavedSettings struct {
	Provider    string `json:"provider" doc:"A backend's name"`
	Model       string `json:"model"`
	Theme       string `json:"theme" doc:"light, dark; empty follows the system"`
	HasKey      bool   `json:"has_provider_key"`
	KeyHint     string `json:"key_hint" doc:"The last characters of the key"`
	KeyProvider string `json:"key_provider" doc:"The backend that the key is for; no other one gets it"`
}

// SettingsChange is the body of a change of settings. Fields that are left out stay unchanged.
type SettingsChange struct {
	Provider    *string `json:"provider,omitempty" nullable:"true" maxLength:"100"`
	Model       *string `json:"model,omitempty" nullable:"true" maxLength:"100"`
	Theme       *string `json:"theme,omitempty" nullable:"true" enum:"light,dark"`
	ProviderKey *string `json:"provider_key,omitempty" nullable:"true" doc:"A provider's key of one's own, which is kept encrypted and never shown again; null takes it away"`
	KeyProvider *string `json:"key_provider,omitempty" nullable:"true" maxLength:"100"`
}

// SessionEntry is a browser in which a person has signed in.
type SessionEntry struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"seen_at" doc:"About"`
	ExpiresAt time.Time `json:"expires_at" doc:"At the latest"`
	Address   string    `json:"address"`
	Browser   string    `json:"browser"`
	Current   bool      `json:"current" doc:"Whether it is the one that asks"`
}

// SessionPage is the active sessions of a person.
type SessionPage struct {
	Data []SessionEntry `json:"data" nullable:"false"`
}

// EndedSessions is how many sessions were ended.
type EndedSessions struct {
	Ended int `json:"ended"`
}

// TeamEntry is a team.
type TeamEntry struct {
	Name    string              `json:"name"`
	Budget  []gateway.KeyBudget `json:"budget" doc:"Null leaves what the configuration says"`
	Members int                 `json:"members"`
}

// TeamPage is all teams that were made, or that people or keys name.
type TeamPage struct {
	Data []TeamEntry `json:"data" nullable:"false"`
}

// TeamFields is the body of a request that makes a team, or changes it.
type TeamFields struct {
	Budget []KeyBudget `json:"budget,omitempty" doc:"Of all usage of the team; each period at most once, null for none"`
}

type userInput struct {
	ID gateway.UserID `path:"id"`
}

type userAnswer struct{ Body UserEntry }

func (o *operations) addPeople() {
	type page struct{ Body UserPage }
	register(o, gateway.Admin, usersPath, "list-users", "People who sign in, or are invited to", func(ctx context.Context, _ *struct{}) (*page, error) {
		users, err := o.a.People.Users(ctx)
		body := UserPage{Data: []UserEntry{}}
		for i := range users {
			body.Data = append(body.Data, o.showUser(&users[i].User))
		}
		return &page{body}, err
	})
	register(o, gateway.Admin, usersPath+"/{id}", "get-user", "One person", func(ctx context.Context, in *userInput) (*userAnswer, error) {
		u, err := o.a.People.User(ctx, in.ID)
		return &userAnswer{o.showUser(&u.User)}, err
	})
	invite := huma.Operation{OperationID: "invite-user", Method: http.MethodPost, Path: usersPath, Summary: "Invite a person", DefaultStatus: http.StatusCreated}
	registerChange(o, gateway.Admin, invite, reflect.TypeFor[NewUser](), func(ctx context.Context, _ *struct{}) (*userAnswer, error) {
		return o.changedUser(ctx, o.a.People.Invite)
	})
	update := huma.Operation{OperationID: "update-user", Method: http.MethodPatch, Path: usersPath + "/{id}", Summary: "Change a person's role, team or budget, or block them"}
	registerChange(o, gateway.Admin, update, reflect.TypeFor[UserChange](), func(ctx context.Context, in *userInput) (*userAnswer, error) {
		return o.changedUser(ctx, func(ctx context.Context, by gateway.Actor, body []byte) (gateway.User, error) {
			return o.a.People.Update(ctx, by, in.ID, body)
		})
	})
	o.addSessions()
	o.addSettings()
	o.addTeams()
}

func (o *operations) changedUser(ctx context.Context, change func(context.Context, gateway.Actor, []byte) (gateway.User, error)) (*userAnswer, error) {
	body, err := bodyOf(ctx, maxUserBody)
	if err != nil {
		return nil, err
	}
	u, err := change(ctx, actorIn(ctx), body)
	return &userAnswer{o.showUser(&u)}, err
}

func (o *operations) showUser(u *gateway.User) UserEntry {
	settings := o.a.Doorman.Settings()
	e := UserEntry{ID: u.ID, Name: u.Name, Email: u.Email, FullName: u.FullName, Role: settings.RoleOf(u), ByConfig: settings.IsAdmin(u.Email), Team: u.Team,
		Budget: u.Budget, Status: "active", CreatedAt: u.CreatedAt, SignedInAt: u.SignedInAt}
	switch {
	case u.Blocked():
		e.Status = "blocked"
	case u.SignedInAt == nil:
		e.Status = "invited"
	}
	return e
}

// personIn is the calling person; keys have neither settings nor sessions.
func personIn(ctx context.Context) (gateway.UserID, error) {
	if id := callerIn(ctx).Person; id != "" {
		return id, nil
	}
	return "", &gateway.Error{Status: http.StatusForbidden, Type: "invalid_request_error", Code: "sign_in_required",
		Message: "This is for people who have signed in, and you have come with a key."}
}

type sessionsInput struct {
	User gateway.UserID `query:"user" doc:"For admins: whose sessions; without it the caller's own"`
}

// whose is the person whose sessions are requested. Members may only see and end their own.
func (in *sessionsInput) whose(ctx context.Context) (gateway.UserID, error) {
	if in.User != "" && callerIn(ctx).Role() >= gateway.Admin {
		return in.User, nil
	}
	own, err := personIn(ctx)
	if err == nil && in.User != "" && in.User != own {
		err = gateway.ErrNoUser
	}
	return own, err
}

func (o *operations) addSessions() {
	type page struct{ Body SessionPage }
	register(o, gateway.Viewer, sessionsPath, "list-sessions", "Browsers in which one has signed in", func(ctx context.Context, in *sessionsInput) (*page, error) {
		of, err := in.whose(ctx)
		if err != nil {
			return nil, err
		}
		body, err := o.sessions(ctx, of)
		return &page{body}, err
	})
	type answer struct{ Body EndedSessions }
	type one struct {
		ID string `path:"id"`
	}
	end := huma.Operation{OperationID: "end-session", Method: http.MethodPost, Path: sessionsPath + "/{id}/revoke", Summary: "End a session; admins may end anybody's"}
	registerChange(o, gateway.Viewer, end, reflect.TypeFor[Revocation](), func(ctx context.Context, in *one) (*answer, error) {
		var of gateway.UserID
		if callerIn(ctx).Role() < gateway.Admin {
			own, err := personIn(ctx)
			if err != nil {
				return nil, err
			}
			of = own
		}
		n, err := o.a.People.EndSessions(ctx, actorIn(ctx), in.ID, of)
		if err == nil && n == 0 {
			err = gateway.ErrNoSession
		}
		return &answer{EndedSessions{n}}, err
	})
	all := huma.Operation{OperationID: "end-sessions", Method: http.MethodPost, Path: sessionsPath + "/revoke", Summary: "End all sessions of one's own, or for admins of a person"}
	registerChange(o, gateway.Viewer, all, reflect.TypeFor[Revocation](), func(ctx context.Context, in *sessionsInput) (*answer, error) {
		of, err := in.whose(ctx)
		if err != nil {
			return nil, err
		}
		n, err := o.a.People.EndSessions(ctx, actorIn(ctx), "", of)
		return &answer{EndedSessions{n}}, err
	})
}

// sessions lists the active sessions of a person.
func (o *operations) sessions(ctx context.Context, of gateway.UserID) (SessionPage, error) {
	current, _ := o.a.Doorman.Session(credentials(requestIn(ctx)))
	found, err := o.a.People.Sessions(ctx, of)
	page, idle := SessionPage{Data: []SessionEntry{}}, o.a.Doorman.Settings().Idle
	for _, s := range found {
		if now := time.Now(); s.EndedAt != nil || now.After(s.ExpiresAt) || s.ID != current.ID && now.Sub(s.SeenAt) > idle {
			continue
		}
		page.Data = append(page.Data, SessionEntry{s.ID, s.CreatedAt, s.SeenAt, s.ExpiresAt, s.Address, s.Browser, s.ID == current.ID})
	}
	return page, err
}

func (o *operations) addSettings() {
	type answer struct{ Body SavedSettings }
	register(o, gateway.Viewer, settingsPath, "get-settings", "What one has saved", func(ctx context.Context, _ *struct{}) (*answer, error) {
		id, err := personIn(ctx)
		if err != nil {
			return nil, err
		}
		u, err := o.a.People.User(ctx, id)
		return &answer{showSettings(&u.Settings)}, err
	})
	save := huma.Operation{OperationID: "save-settings", Method: http.MethodPatch, Path: settingsPath, Summary: "Save settings of one's own"}
	registerChange(o, gateway.Viewer, save, reflect.TypeFor[SettingsChange](), func(ctx context.Context, _ *struct{}) (*answer, error) {
		id, err := personIn(ctx)
		if err != nil {
			return nil, err
		}
		body, err := bodyOf(ctx, maxUserBody)
		if err != nil {
			return nil, err
		}
		s, err := o.a.People.SaveSettings(ctx, id, body)
		return &answer{showSettings(&s)}, err
	})
}

func showSettings(s *gateway.UserSettings) SavedSettings {
	return SavedSettings{s.Provider, string(s.Model), s.Theme, s.ProviderKey != "", s.KeyHint, s.KeyProvider}
}

func (o *operations) addTeams() {
	type page struct{ Body TeamPage }
	register(o, gateway.Admin, teamsPath, "list-teams", "Teams, and their budgets", func(ctx context.Context, _ *struct{}) (*page, error) {
		body, err := o.teams(ctx)
		return &page{body}, err
	})
	type answer struct{ Body TeamEntry }
	type one struct {
		Name string `path:"id" doc:"The team's name"`
	}
	put := huma.Operation{OperationID: "save-team", Method: http.MethodPatch, Path: teamsPath + "/{id}", Summary: "Make a team, or change it"}
	registerChange(o, gateway.Admin, put, reflect.TypeFor[TeamFields](), func(ctx context.Context, in *one) (*answer, error) {
		body, err := bodyOf(ctx, maxUserBody)
		if err != nil {
			return nil, err
		}
		t, err := o.a.People.PutTeam(ctx, actorIn(ctx), in.Name, body)
		return &answer{TeamEntry{Name: t.Name, Budget: t.Budget}}, err
	})
}

func (o *operations) teams(ctx context.Context) (TeamPage, error) {
	page := TeamPage{Data: []TeamEntry{}}
	users, err := o.a.People.Users(ctx)
	if err != nil {
		return page, err
	}
	members := map[string]int{}
	for i := range users {
		members[users[i].Team]++
	}
	teams, err := o.a.People.Teams(ctx)
	for _, t := range teams {
		page.Data = append(page.Data, TeamEntry{t.Name, t.Budget, members[t.Name]})
	}
	return page, err
}
