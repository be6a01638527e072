package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

var (
	ada       = gateway.Identity{Account: gateway.Account{Issuer: "https://id.example.com", Subject: "1"}, Email: "ada@example.com", FullName: "Ada"}
	enteredAt = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
)

// newUser is what a person who was not known becomes.
func newUser(id string, of gateway.Identity) gateway.UserRecord {
	return gateway.UserRecord{Account: of.Account, User: gateway.User{ID: gateway.UserID(id), Name: of.Email, Email: of.Email, FullName: of.FullName, Role: gateway.Member,
		CreatedAt: enteredAt, SignedInAt: &enteredAt}}
}

func newSession(attempt string) gateway.SessionRecord {
	s := gateway.SessionRecord{Attempt: attempt, Session: gateway.Session{ID: "session_" + attempt, CreatedAt: enteredAt, SeenAt: enteredAt,
		ExpiresAt: enteredAt.Add(time.Hour), Address: "192.0.2.1", Browser: "Chromium"}}
	copy(s.Hash[:], attempt)
	return s
}

// enter has a person in who is not known, or as they were.
func enter(t *testing.T, s *testStore, id string, of gateway.Identity, attempt string) gateway.UserRecord {
	t.Helper()
	u, _, err := s.Enter(t.Context(), of, newSession(attempt), func(known *gateway.UserRecord, _ bool) (gateway.UserRecord, error) {
		if known == nil {
			return newUser(id, of), nil
		}
		now := *known
		now.Account, now.Email, now.SignedInAt = of.Account, of.Email, &enteredAt
		return now, nil
	})
	do(t, err)
	return u
}

func TestPeopleAreKnownByTheirAccountsAlone(t *testing.T) { onEach(t, peopleAreKnownByTheirAccounts) }

func peopleAreKnownByTheirAccounts(t *testing.T, s *testStore) {
	first := enter(t, s, "user_1", ada, "a")
	moved := ada
	moved.Email = "ada@new.example.com"
	again := enter(t, s, "user_9", moved, "b")
	if again.ID != first.ID || again.Name != "ada@example.com" || again.Email != moved.Email {
		t.Errorf("with another address she is %+v", again.User)
	}
	heir := ada
	heir.Subject = "2"
	other := enter(t, s, "user_2", heir, "c")
	if other.ID != "user_2" || other.Name != "ada@example.com (2)" {
		t.Errorf("who has her old address now is %+v", other.User)
	}
	read, err := s.User(t.Context(), first.ID)
	do(t, err)
	if diff := cmp.Diff(again, read); diff != "" {
		t.Errorf("written (-) and read (+): %s", diff)
	}
	if _, err := s.User(t.Context(), "user_9"); !errors.Is(err, gateway.ErrNoUser) {
		t.Errorf("nobody is %v", err)
	}
}

func TestAnInvitationIsTakenUpOnce(t *testing.T) { onEach(t, anInvitationIsTakenUpOnce) }

func anInvitationIsTakenUpOnce(t *testing.T, s *testStore) {
	invited, err := s.AddUser(t.Context(), gateway.Actor{Name: "boss"}, ada.Email, func(same []gateway.UserRecord) (gateway.UserRecord, error) {
		return gateway.UserRecord{User: gateway.User{ID: "user_1", Name: ada.Email, Email: ada.Email, Role: gateway.Admin, CreatedAt: enteredAt, InvitedAt: &enteredAt}}, nil
	})
	do(t, err)
	if u := enter(t, s, "user_2", ada, "a"); u.ID != invited.ID || u.Role != gateway.Admin || u.Account != ada.Account {
		t.Errorf("the invited one is %+v", u)
	}
	heir := ada
	heir.Subject = "2"
	if u := enter(t, s, "user_3", heir, "b"); u.ID != "user_3" || u.Role != gateway.Member {
		t.Errorf("another account with the address is %+v", u)
	}
	_, err = s.AddUser(t.Context(), gateway.Actor{}, ada.Email, func(same []gateway.UserRecord) (gateway.UserRecord, error) {
		return gateway.UserRecord{}, map[bool]error{true: errors.New("known twice"), false: nil}[len(same) == 2]
	})
	if err == nil || !strings.Contains(err.Error(), "known twice") {
		t.Errorf("who invites is told %v", err)
	}
}

func TestAnAttemptBeginsOneSession(t *testing.T) { onEach(t, anAttemptBeginsOneSession) }

func anAttemptBeginsOneSession(t *testing.T, s *testStore) {
	u := enter(t, s, "user_1", ada, "a")
	_, _, err := s.Enter(t.Context(), ada, newSession("a"), func(known *gateway.UserRecord, _ bool) (gateway.UserRecord, error) { return *known, nil })
	if !errors.Is(err, errAttemptUsed) {
		t.Errorf("the second time: %v", err)
	}
	sessions, err := s.Sessions(t.Context(), u.ID)
	do(t, err)
	want := newSession("a")
	want.User, want.Version = u.ID, u.Version
	if diff := cmp.Diff([]gateway.SessionRecord{want}, sessions); diff != "" {
		t.Errorf("sessions (-want +got): %s", diff)
	}
}

func TestSessionsAreEndedByTheirOwnersAndSeenByEveryGateway(t *testing.T) {
	onEach(t, sessionsAreEnded)
}

func sessionsAreEnded(t *testing.T, s *testStore) {
	u := enter(t, s, "user_1", ada, "a")
	enter(t, s, "user_1", ada, "b")
	bob := ada
	bob.Subject, bob.Email = "2", "bob@example.com"
	enter(t, s, "user_2", bob, "c")
	for _, c := range []struct {
		id   string
		of   gateway.UserID
		want int
	}{{"session_c", u.ID, 0}, {"session_a", u.ID, 1}, {"session_a", u.ID, 0}, {"", u.ID, 1}, {"session_c", "", 1}} {
		if ended, err := s.EndSessions(t.Context(), gateway.Actor{Name: "ada"}, c.id, c.of, enteredAt); err != nil || len(ended) != c.want {
			t.Errorf("%q of %q: %d, %v", c.id, c.of, len(ended), err)
		}
	}
	do(t, s.TouchSessions(t.Context(), map[string]time.Time{"session_a": enteredAt.Add(time.Minute)}))
	var last int64
	ended := map[string]bool{}
	do(t, s.SessionsSince(t.Context(), 0, func(r *gateway.SessionRecord) {
		if r.Version <= last {
			t.Errorf("version %d follows %d", r.Version, last)
		}
		last, ended[r.ID] = r.Version, r.EndedAt != nil
		if want := map[bool]time.Duration{true: time.Minute}[r.ID == "session_a"]; r.SeenAt.Sub(enteredAt) != want {
			t.Errorf("%s was seen after %s", r.ID, r.SeenAt.Sub(enteredAt))
		}
	}))
	if diff := cmp.Diff(map[string]bool{"session_a": true, "session_b": true, "session_c": true}, ended); diff != "" {
		t.Error(diff)
	}
}

func TestWhoChangesAUserIsToldOfOtherAdministrators(t *testing.T) { onEach(t, whoChangesAUser) }

func whoChangesAUser(t *testing.T, s *testStore) {
	u := enter(t, s, "user_1", ada, "a")
	bob := ada
	bob.Subject, bob.Email = "2", "bob@example.com"
	enter(t, s, "user_2", bob, "b")
	admins := -1
	limit := gateway.Money(5)
	u, err := s.ChangeUser(t.Context(), u.ID, "user.update", gateway.Actor{Name: "boss", Address: "192.0.2.9"}, func(u *gateway.User) bool { return u.Email == bob.Email },
		func(u *gateway.UserRecord, others int) error {
			admins = others
			u.Role, u.Team, u.Budget = gateway.Viewer, "search", []gateway.KeyBudget{{Per: gateway.BudgetDay, Amount: &limit}}
			u.Settings = gateway.UserSettings{Provider: "openai", Model: "gpt-4o", ProviderKey: "sealed", KeyHint: "…9f2c"}
			return nil
		})
	do(t, err)
	if admins != 1 {
		t.Errorf("%d other administrators", admins)
	}
	var read []gateway.UserRecord
	do(t, s.UsersSince(t.Context(), u.Version-1, func(r *gateway.UserRecord) { read = append(read, *r) }))
	if diff := cmp.Diff([]gateway.UserRecord{u}, read); diff != "" {
		t.Errorf("written (-) and read (+): %s", diff)
	}
	entries, err := s.Audit(t.Context(), 0, 1)
	do(t, err)
	if len(entries) != 1 || entries[0].Action != "user.update" || entries[0].Actor != "boss" || !strings.Contains(string(entries[0].Before), `"member"`) || !strings.Contains(string(entries[0].After), `"viewer"`) ||
		strings.Contains(string(entries[0].After), "sealed") {
		t.Errorf("the audit log has %+v", entries)
	}
}

func TestTeamsAreThoseOfTheTableAndThoseThatAreNamed(t *testing.T) { onEach(t, teamsAreThere) }

func teamsAreThere(t *testing.T, s *testStore) {
	enter(t, s, "user_1", ada, "a")
	_, err := s.ChangeUser(t.Context(), "user_1", "user.update", gateway.Actor{}, nil, func(u *gateway.UserRecord, _ int) error { u.Team = "research"; return nil })
	do(t, err)
	limit := gateway.Money(7)
	for range 2 {
		_, err = s.PutTeam(t.Context(), "search", gateway.Actor{}, func(team *gateway.Team) error {
			team.Budget = append(team.Budget[:0], gateway.KeyBudget{Per: gateway.BudgetDay, Amount: &limit})
			return nil
		})
		do(t, err)
	}
	teams, err := s.Teams(t.Context())
	do(t, err)
	if len(teams) != 2 || teams[0].Name != "research" || teams[0].Budget != nil || teams[1].Name != "search" || len(teams[1].Budget) != 1 {
		t.Errorf("teams: %+v", teams)
	}
	var followed []string
	do(t, s.TeamsSince(t.Context(), 0, func(r *gateway.TeamRecord) { followed = append(followed, r.Name) }))
	if diff := cmp.Diff([]string{"search"}, followed); diff != "" {
		t.Error(diff)
	}
}
