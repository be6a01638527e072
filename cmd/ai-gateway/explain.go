package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"ai-gateway/auth"
	"ai-gateway/budgets"
	"ai-gateway/config"
	"ai-gateway/control"
	dashboardapi "ai-gateway/dashboard-api"
	"ai-gateway/explain"
	"ai-gateway/gateway"
	"ai-gateway/pricing"
	"ai-gateway/provider"
	"ai-gateway/store"
)

// explainerOf explains requests as the configuration in force would treat them.
func explainerOf(now *control.Settings, tables *store.Store, protected bool, own budgets.OwnBudgets, limits func(*gateway.LimitedRequest) ([]gateway.LimitState, error)) explain.Config {
	return explain.Config{
		Entry: entryOf(tables, protected), OwnBudgets: own,
		Read: provider.OpenAI{}.ReadRequest, Routes: now.Routes, Price: now.Prices.Price, Budgets: now.Config.Budgets, Limits: limits, Now: time.Now,
		Standing: func(ctx context.Context, of []gateway.BudgetState) ([]gateway.BudgetState, error) {
			return tables.Standings(ctx, of, time.Now())
		},
	}
}

// entryOf says which callers are let in: those without a key if none is needed, and those with a valid one.
func entryOf(tables *store.Store, protected bool) func(context.Context, *gateway.Caller) (*gateway.Error, error) {
	return func(ctx context.Context, c *gateway.Caller) (*gateway.Error, error) {
		switch {
		case c.Grant == nil && protected:
			return auth.NoKey(), nil
		case c.Grant == nil:
			return nil, nil
		}
		k, err := tables.Key(ctx, c.Key.ID)
		if errors.Is(err, gateway.ErrNoAPIKey) { // the admin key from outside
			return nil, nil
		}
		return auth.KeyRefusal(k.Status(time.Now())), err
	}
}

// explainer explains for the api role, which asks the agent for counters.
type explainer struct {
	*service
	tables    *store.Store
	protected func() bool // whether everybody needs a key
	own       budgets.OwnBudgets
}

// Explain says what would happen to a request.
func (x explainer) Explain(ctx context.Context, by dashboardapi.Requester, e gateway.Endpoint, body []byte) (gateway.Explanation, error) {
	c, err := x.config(ctx, by.Client)
	if err != nil {
		return gateway.Explanation{}, err
	}
	return c.Request(ctx, by.Caller, e, body)
}

// Left says what is left for a caller.
func (x explainer) Left(ctx context.Context, by dashboardapi.Requester) (gateway.Allowance, error) {
	c, err := x.config(ctx, by.Client)
	if err != nil {
		return gateway.Allowance{}, err
	}
	return c.Left(ctx, by.Caller)
}

// Caller is who calls with a gateway key.
func (x explainer) Caller(ctx context.Context, id gateway.KeyID) (*gateway.Caller, error) {
	return callerOf(ctx, x.tables, id)
}

// config is what explaining needs, for a client at an address.
func (x explainer) config(ctx context.Context, client string) (explain.Config, error) {
	cfg, err := x.configuration()
	if err != nil {
		return explain.Config{}, err
	}
	book, err := pricing.Default().With(cfg.Prices)
	now := &control.Settings{Config: cfg, Routes: cfg.RoutesWithDemo(x.files.demoSocket()), Prices: book}
	c := explainerOf(now, x.tables, x.protected(), x.own, x.files.limitsNow(ctx))
	c.Client = client
	return c, err
}

// limitsNow asks the agent how limits stand.
func (d runFiles) limitsNow(ctx context.Context) func(*gateway.LimitedRequest) ([]gateway.LimitState, error) {
	return func(r *gateway.LimitedRequest) ([]gateway.LimitState, error) {
		request, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		body, err := get(ctx, unixClient(d.agentSocket()), "http://agent/limits?"+url.Values{"request": {string(request)}}.Encode())
		if err != nil {
			return nil, err
		}
		var answer struct{ Data []gateway.LimitState }
		err = json.Unmarshal(body, &answer)
		return answer.Data, err
	}
}

// callerOf is who calls with a key.
func callerOf(ctx context.Context, tables *store.Store, id gateway.KeyID) (*gateway.Caller, error) {
	k, err := tables.Key(ctx, id)
	if err != nil {
		return nil, err
	}
	return &gateway.Caller{Key: gateway.Key{ID: k.ID, Label: k.Label}, User: k.Owner, Team: k.Team, Grant: &k.Grant}, nil
}

// explainFlags say what to explain.
type explainFlags struct {
	model, key, endpoint string
	asJSON               bool
}

const maxExplained = 64 << 20 // bytes of a request's body

func (w world) explainCommand() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain [FILE]",
		Short: "Show what would happen to a request: backends, prices, worst cost, limits, budgets; calls no provider",
		Long: `Show what would happen to a request, without calling a provider or counting anything: each
attempt's backend, path and upstream model, the prices and the most that it may cost, every
limit and budget that is for it with what is left, and why it would be refused.

FILE holds the request's body, "-" is standard input; without one, a request for --model
with a short prompt is explained. A gateway that runs on this machine with the same
configuration is asked how limits stand. If none answers, they are counted from the tables,
without the requests that run now. The exit status is 0 also if the request would be refused.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := f.body(args, os.Stdin)
			if err != nil {
				return err
			}
			return w.explain(cmd.Context(), f, body)
		},
	}
	cmd.Flags().StringVar(&f.model, "model", "", "the model to ask for, where no FILE says it")
	cmd.Flags().StringVar(&f.key, "key", "", "the id of the gateway key to ask with; left out, a client without one asks")
	cmd.Flags().StringVar(&f.endpoint, "endpoint", gateway.ChatCompletions.Path(), "the endpoint that is asked")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return cmd
}

// body is the request that the flags or a file say.
func (f explainFlags) body(args []string, stdin io.Reader) ([]byte, error) {
	switch {
	case len(args) == 0 && f.model == "":
		return nil, errors.New("give --model, or a FILE with a request's body")
	case len(args) == 0:
		return json.Marshal(map[string]any{"model": f.model, "messages": []any{map[string]string{"role": "user", "content": "Hello!"}}})
	case f.model != "":
		return nil, errors.New("the FILE names the model: leave --model out")
	}
	in := stdin
	if args[0] != "-" {
		file, err := os.Open(args[0])
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	return io.ReadAll(io.LimitReader(in, maxExplained))
}

func (w world) explain(ctx context.Context, f explainFlags, body []byte) (err error) {
	endpoint := gateway.EndpointOf(f.endpoint)
	if endpoint == 0 {
		return fmt.Errorf("--endpoint %q must be one of %v", f.endpoint, gateway.Endpoints())
	}
	cfg, tables, err := w.openBooksOf(ctx, config.LoadGuarded)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tables.Close()) }()
	book, err := pricing.Default().With(cfg.Prices)
	if err != nil {
		return fmt.Errorf("reading prices: %w", err)
	}
	caller := &gateway.Caller{Key: gateway.Key{ID: gateway.AnonymousKey}}
	if f.key != "" {
		if caller, err = callerOf(ctx, tables, gateway.KeyID(f.key)); err != nil {
			return withID(f.key, err)
		}
	}
	standing, err := w.limitsOf(ctx, cfg, tables)
	if err != nil {
		return err
	}
	now := &control.Settings{Config: cfg, Routes: cfg.RoutesWithDemo("/"), Prices: book}
	keys, err := tables.APIKeys(ctx, "", 1)
	if err != nil {
		return err
	}
	protected := len(keys) > 0 || cfg.NeedsKey()
	own, err := savedBudgets(ctx, tables)
	if err != nil {
		return err
	}
	p, err := explainerOf(now, tables, protected, own, standing).Request(ctx, caller, endpoint, body)
	if err != nil {
		return err
	}
	if f.asJSON {
		e := json.NewEncoder(w.stdout)
		e.SetIndent("", "  ")
		return e.Encode(p)
	}
	return w.showPlan(&p)
}

// limitsOf is how limits stand: as the gateway says that runs with the configuration's state folder,
// or else as the tables tell.
func (w world) limitsOf(ctx context.Context, cfg config.Config, tables *store.Store) (func(*gateway.LimitedRequest) ([]gateway.LimitState, error), error) {
	state, err := stateOf(cfg, w.getenv)
	if err != nil {
		return nil, err
	}
	if folder, err := os.ReadFile(state.runFolder()); err == nil {
		asked := runFiles(folder).limitsNow(ctx)
		if _, err := asked(&gateway.LimitedRequest{}); err == nil {
			return asked, nil
		}
	}
	held := &limits{log: slog.New(slog.DiscardHandler), keys: auth.NewGate(auth.GateConfig{})}
	return func(r *gateway.LimitedRequest) ([]gateway.LimitState, error) {
		states, err := held.Standing(r)
		if len(states) > 0 {
			w.warn("no gateway runs here with this configuration, so limits are shown without requests that run now")
		}
		return states, err
	}, held.start(ctx, cfg, tables)
}

// savedBudgets are those that were saved for users and teams.
func savedBudgets(ctx context.Context, tables *store.Store) (budgets.OwnBudgets, error) {
	saved := map[gateway.BudgetBy]map[string][]gateway.KeyBudget{gateway.BudgetByUser: {}, gateway.BudgetByTeam: {}}
	users, err := tables.Users(ctx)
	for i := range users {
		saved[gateway.BudgetByUser][users[i].Name] = users[i].Budget
	}
	if err != nil {
		return nil, err
	}
	teams, err := tables.Teams(ctx)
	for _, t := range teams {
		saved[gateway.BudgetByTeam][t.Name] = t.Budget
	}
	return func(by gateway.BudgetBy, name string) []gateway.KeyBudget { return saved[by][name] }, err
}

// showPlan prints a plan for people.
func (w world) showPlan(p *gateway.Explanation) error {
	return table(w.stdout, func(out io.Writer) {
		fmt.Fprintf(out, "model\t%s\n", p.Model)
		fmt.Fprintf(out, "endpoint\t%s\n", p.Endpoint)
		fmt.Fprintf(out, "key\t%s\n", p.Key)
		fmt.Fprintf(out, "tokens\t%d of the prompt, estimated; at most %d of the answer\n", p.PromptTokens, p.AnswerTokens)
		for i, a := range p.Attempts {
			fmt.Fprintf(out, "attempt %d\t%s\t%s as %s, key: %s\n", i+1, a.Backend, a.URL, a.Model, a.Key)
		}
		if p.Price != nil {
			fmt.Fprintf(out, "price\t$%s input, $%s output per million tokens\t%s\n", p.Price.Input, p.Price.Output, p.Price.Version)
		} else {
			fmt.Fprintln(out, "price\tnot known")
		}
		if p.WorstUSD != nil {
			fmt.Fprintf(out, "worst cost\t$%s\n", p.WorstUSD)
		}
		for _, l := range p.Limits {
			fmt.Fprintf(out, "limit\t%s\t%d of %d left%s\n", l.Rule, l.Remaining, l.Max, until(l.Resets))
		}
		for _, b := range p.Budgets {
			fmt.Fprintf(out, "budget\t%s %s per %s\t$%s of $%s left: $%s spent, $%s held%s\n", b.By, b.Name, b.Per, b.Left, b.USD, b.Spent, b.Held, until(b.Resets))
		}
		if len(p.Refusals) == 0 {
			fmt.Fprintln(out, "verdict\tit would pass")
		}
		for _, r := range p.Refusals {
			fmt.Fprintf(out, "refused\t%d %s\t%s\n", r.Status, r.Code, r.Message)
		}
	})
}

func until(t *time.Time) string {
	if t == nil {
		return ""
	}
	return " until " + t.UTC().Format(time.RFC3339)
}
