package test

import (
	"database/sql"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"

	dashboardapi "ai-gateway/dashboard-api"
	"ai-gateway/gateway"
)

// described are the operations of the OpenAPI document that a gateway serves, "GET /api/keys".
func (s *signed) described(t *testing.T) (operations []string) {
	t.Helper()
	_, text := s.visitor(t).ask("GET", "/api/openapi.json", "")
	var document struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	for path, methods := range document.Paths {
		for method := range methods {
			operations = append(operations, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(operations)
	return operations
}

// rolesNeeded are the roles that the API's operations need at least.
func rolesNeeded() map[string]gateway.Role {
	roles := map[string]gateway.Role{}
	for _, e := range dashboardapi.Endpoints() {
		if strings.HasPrefix(e.Path, "/api/") {
			roles[e.Method+" "+e.Path] = e.Role
		}
	}
	return roles
}

// cast is everybody who asks, by what they are.
type cast map[string]*visitor

// startCast signs everybody in, and gives the member something of everything.
func startCast(t *testing.T, s *signed) (all cast, owned map[string]string) {
	t.Helper()
	all = cast{"nobody": s.visitor(t)}
	for who, name := range map[string]string{"admin": "ada"} {
		all[who] = s.visitor(t)
		all[who].signIn(name)
	}
	admin := all["admin"]
	admin.want(201, "", "POST", "/api/users", `{"email":"max@example.com","role":"viewer"}`)
	for who, name := range map[string]string{"member": "bob", "other": "eve", "viewer": "max", "expired": "bob", "revoked": "bob"} {
		all[who] = s.visitor(t)
		all[who].signIn(name)
	}
	member := all["member"]
	member.want(200, "data:", "POST", chatsPath, chatCall)
	var key struct{ ID string }
	decode(t, admin.want(201, "", "POST", "/api/keys", `{"label":"bob's","owner":"bob@example.com"}`), &key)
	second := s.visitor(t)
	second.signIn("bob")
	owned = map[string]string{"/api/keys/": key.ID, "/api/costs/": admin.userID("bob@example.com"), "/api/users/": admin.userID("bob@example.com"), "/api/teams/": "search",
		"/api/sessions/": sessionOf(t, second), "/api/requests/": requestOf(t, member)}
	all["revoked"].want(200, "", "POST", "/api/sessions/"+sessionOf(t, all["revoked"])+"/revoke", "{}")
	s.expire(t, sessionOf(t, all["expired"]))
	for _, who := range []string{"expired", "revoked"} {
		all[who].soon(http.StatusUnauthorized, "GET", "/auth/me", "")
	}
	return all, owned
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// sessionOf is the id of a visitor's own session.
func sessionOf(t *testing.T, v *visitor) string {
	t.Helper()
	var me struct{ Session struct{ ID string } }
	decode(t, v.want(200, "", "GET", "/auth/me", ""), &me)
	return me.Session.ID
}

// requestOf is the id of a request that a visitor has made.
func requestOf(t *testing.T, v *visitor) string {
	t.Helper()
	var page struct{ Data []struct{ ID string } }
	if _, err := v.site.waitRows(1); err != nil {
		t.Fatal(err)
	}
	decode(t, v.want(200, "", "GET", "/api/requests", ""), &page)
	if len(page.Data) == 0 {
		t.Fatal("no request is recorded")
	}
	return page.Data[0].ID
}

// expire has a session be over, as time does.
func (s *signed) expire(t *testing.T, id string) {
	t.Helper()
	db, err := sql.Open("sqlite", s.database+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for _, statement := range []string{`UPDATE changes SET version = version + 1`,
		`UPDATE sessions SET expires_at = '2020-01-01T00:00:00.000000Z', version = (SELECT version FROM changes) WHERE id = '` + id + `'`} {
		if _, err := tx.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// TestEveryOperationByEverybody is made from the OpenAPI document that the gateway serves, so that
// a new operation cannot be forgotten.
func TestEveryOperationByEverybody(t *testing.T) {
	t.Parallel()
	s := startSigned(t)
	needed := rolesNeeded()
	operations := s.described(t)
	var known []string
	for operation := range needed {
		known = append(known, operation)
	}
	slices.Sort(known)
	if diff := cmp.Diff(known, operations); diff != "" {
		t.Fatalf("operations with a role (-) and described (+): %s", diff)
	}
	all, owned := startCast(t, s)
	slices.SortStableFunc(operations, func(a, b string) int { return last(a) - last(b) })
	names := map[string]string{"admin": "ada", "member": "bob", "other": "eve", "viewer": "max"}
	roles := map[string]gateway.Role{"viewer": gateway.Viewer, "member": gateway.Member, "other": gateway.Member, "admin": gateway.Admin}
	for _, operation := range operations {
		method, path, _ := strings.Cut(operation, " ")
		for _, who := range []string{"nobody", "expired", "revoked", "viewer", "other", "member", "admin"} {
			status, body := all[who].ask(asked(method, path), withOwned(path, owned), "{}")
			if fault := judge(needed[operation], roles[who], who, path, status, body); fault != "" {
				t.Errorf("%s by %s: %d %s: %s", operation, who, status, body, fault)
			}
			if path == endsAll && status == http.StatusOK {
				all[who].signIn(names[who]) // it ended its own
			}
		}
	}
}

// endsAll ends all sessions of whoever asks.
const endsAll = "/api/sessions/revoke"

// last is 1 for what has to come behind all others.
func last(operation string) int {
	if strings.HasSuffix(operation, " "+endsAll) {
		return 1
	}
	return 0
}

// asked is the method to ask with: a stream's headers alone, as it lasts.
func asked(method, path string) string {
	if strings.HasSuffix(path, "/live") {
		return http.MethodHead
	}
	return method
}

// withOwned is a path with the id of what is the member's.
func withOwned(path string, owned map[string]string) string {
	for prefix, id := range owned {
		if strings.HasPrefix(path, prefix+"{") {
			_, after, _ := strings.Cut(path, "}")
			return prefix + id + after
		}
	}
	return path
}

// judge says what is wrong with an answer, "" for nothing.
func judge(needed, has gateway.Role, who, path string, status int, body string) string {
	refused := status == http.StatusUnauthorized || status == http.StatusForbidden
	foreign := strings.Contains(path, "{") && who == "other" && needed <= gateway.Member && !strings.HasPrefix(path, "/api/openapi")
	switch {
	case needed == 0 && refused:
		return "it is for everybody"
	case needed == 0:
		return ""
	case has == 0 && status != http.StatusUnauthorized:
		return "who is nobody is not refused"
	case has == 0:
		return ""
	case has < needed && (status != http.StatusForbidden || !strings.Contains(body, needed.String()+"_required")):
		return "the role is too small"
	case has < needed:
		return ""
	case foreign && status != http.StatusNotFound:
		return "it is another one's"
	case refused || status >= http.StatusInternalServerError:
		return "the role suffices"
	case who == "member" && strings.Contains(path, "{") && status == http.StatusNotFound:
		return "it is its own"
	}
	return ""
}
