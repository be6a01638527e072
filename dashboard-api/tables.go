package dashboardapi

import (
	"strconv"
	"strings"
	"time"

	"ai-gateway/gateway"
)

// moment is a time in a table; empty for none.
func moment(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func (a Allowance) table() [][]string {
	rows := [][]string{{"kind", "rule", "name", "max", "left", "spent_usd", "held_usd", "resets_at"}}
	for _, l := range a.Limits {
		rows = append(rows, []string{"limit", l.Rule, "", strconv.FormatInt(l.Max, 10), strconv.FormatInt(l.Remaining, 10), "", "", moment(l.Resets)})
	}
	for _, b := range a.Budgets {
		rows = append(rows, []string{"budget", b.By + ".usd." + b.Per, b.Name, b.USD.String(), b.Left.String(), b.Spent.String(), b.Held.String(), moment(b.Resets)})
	}
	return rows
}

func (p KeyPage) table() [][]string {
	rows := [][]string{{"id", "prefix", "label", "owner", "team", "role", "status", "models", "created_at", "expires_at", "revoked_at", "grace_until", "last_used_at"}}
	for i := range p.Data {
		k := &p.Data[i]
		rows = append(rows, []string{string(k.ID), k.Prefix, k.Label, k.Owner, k.Team, k.Role.String(), string(k.Status), allowed(k.Models), moment(&k.CreatedAt),
			moment(k.ExpiresAt), moment(k.RevokedAt), moment(k.GraceUntil), moment(k.LastUsedAt)})
	}
	return withCut(rows, "before", p.Next)
}

// allowed are the models of a key in one cell, whose patterns hold no spaces.
func allowed(models []string) string {
	switch {
	case models == nil:
		return "*"
	case len(models) == 0:
		return "none"
	}
	return strings.Join(models, " ")
}

func (p AuditPage) table() [][]string {
	rows := [][]string{{"at", "id", "actor", "address", "action", "target", "before", "after"}}
	for _, e := range p.Data {
		rows = append(rows, []string{moment(&e.At), strconv.FormatInt(e.ID, 10), e.Actor, e.Address, e.Action, e.Target, string(e.Before), string(e.After)})
	}
	return withCut(rows, "before", p.Next)
}

func (p UserPage) table() [][]string {
	rows := [][]string{{"id", "user_id", "email", "name", "role", "team", "status", "budget", "created_at", "signed_in_at"}}
	for i := range p.Data {
		u := &p.Data[i]
		rows = append(rows, []string{string(u.ID), u.Name, u.Email, u.FullName, u.Role.String(), u.Team, u.Status, budgetCell(u.Budget), moment(&u.CreatedAt), moment(u.SignedInAt)})
	}
	return rows
}

func (p TeamPage) table() [][]string {
	rows := [][]string{{"name", "members", "budget"}}
	for _, t := range p.Data {
		rows = append(rows, []string{t.Name, strconv.Itoa(t.Members), budgetCell(t.Budget)})
	}
	return rows
}

// budgetCell shows a budget in one cell, as "day=2.5 month=unlimited".
func budgetCell(budget []gateway.KeyBudget) string {
	texts := make([]string, len(budget))
	for i, b := range budget {
		amount := "unlimited"
		if b.Amount != nil {
			amount = b.Amount.String()
		}
		texts[i] = b.Per.String() + "=" + amount
	}
	return strings.Join(texts, " ")
}

func (p SessionPage) table() [][]string {
	rows := [][]string{{"id", "created_at", "seen_at", "expires_at", "address", "browser", "current"}}
	for _, s := range p.Data {
		rows = append(rows, []string{s.ID, moment(&s.CreatedAt), moment(&s.SeenAt), moment(&s.ExpiresAt), s.Address, s.Browser, strconv.FormatBool(s.Current)})
	}
	return rows
}

func (f Findings) table() [][]string {
	rows := [][]string{{"about", "state", "text", "hint"}}
	for _, one := range f.Data {
		rows = append(rows, []string{one.About, one.State, one.Text, one.Hint})
	}
	return rows
}
