package budgets

import (
	"time"

	"ai-gateway/gateway"
)

// rules are the configuration's, by whom they are for.
type rules struct {
	c     gateway.Budgets
	saved OwnBudgets
	named map[target]map[gateway.BudgetPeriod]gateway.Money
}

// target is whom a rule applies to: a name, or "" for each of them.
type target struct {
	by   gateway.BudgetBy
	name string
}

func newRules(c gateway.Budgets, saved OwnBudgets) *rules {
	r := &rules{c: c, saved: saved, named: map[target]map[gateway.BudgetPeriod]gateway.Money{}}
	for _, rule := range c.Rules {
		at := target{rule.By, rule.Name}
		if r.named[at] == nil {
			r.named[at] = map[gateway.BudgetPeriod]gateway.Money{}
		}
		r.named[at][rule.Per] = rule.Amount
	}
	return r
}

// bound is a budget that applies to a request.
type bound struct {
	id     gateway.BudgetID
	amount gateway.Money
}

// of returns the budgets that apply to a caller. All of them must have room. Of those for the
// same by and period only the most specific applies: a key's own, then the rule with its name,
// then the rule without a name.
func (r *rules) of(c *gateway.Caller, at time.Time) []bound {
	var all []bound
	for by := gateway.BudgetByKey; by <= gateway.BudgetByTeam; by++ {
		name := gateway.SpendingName(by, c.Key.ID, c.User, c.Team)
		if name == "" {
			continue
		}
		named, each := r.named[target{by, name}], r.named[target{by, ""}]
		own := r.own(by, name, c)
		if len(named)+len(each)+len(own) > 0 {
			all = append(all, bounds(by, name, at, own, named, each)...)
		}
	}
	return all
}

// own are the budgets that were saved for whom a name stands.
func (r *rules) own(by gateway.BudgetBy, name string, c *gateway.Caller) []gateway.KeyBudget {
	switch {
	case by == gateway.BudgetByKey && c.Grant != nil:
		return c.Grant.Budget
	case by == gateway.BudgetByKey || r.saved == nil:
		return nil
	}
	return r.saved(by, name)
}

func bounds(by gateway.BudgetBy, name string, at time.Time, own []gateway.KeyBudget, configured ...map[gateway.BudgetPeriod]gateway.Money) []bound {
	var all []bound
	for _, per := range gateway.BudgetPeriods() {
		amount, limited := amountOf(per, own, configured)
		if limited {
			start, end := per.Days(at)
			all = append(all, bound{gateway.BudgetID{By: by, Name: name, Per: per, Start: start, End: end}, amount})
		}
	}
	return all
}

func amountOf(per gateway.BudgetPeriod, own []gateway.KeyBudget, configured []map[gateway.BudgetPeriod]gateway.Money) (amount gateway.Money, limited bool) {
	for _, b := range own {
		switch {
		case b.Per != per:
		case b.Amount == nil:
			return 0, false
		default:
			return *b.Amount, true
		}
	}
	for _, of := range configured {
		if amount, ok := of[per]; ok {
			return amount, true
		}
	}
	return 0, false
}
