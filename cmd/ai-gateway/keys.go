package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"ai-gateway/auth"
	"ai-gateway/config"
	dashboardapi "ai-gateway/dashboard-api"
	"ai-gateway/gateway"
	"ai-gateway/store"
)

// keysCommand makes and changes gateway keys in the store, with or without a running gateway. A
// gateway follows within a second.
func (w world) keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make, show, change, rotate and revoke gateway keys",
		Long: `Make, show, change, rotate and revoke gateway keys.

The commands open the store of the configuration, so they work without a running gateway.
A running one follows within a second. If usage is kept in memory there is no store to
open: use /api/keys of the running gateway.`,
	}
	var asJSON bool
	cmd.PersistentFlags().BoolVar(&asJSON, "json", false, "print JSON, as /api/keys does")
	k := &keyCommands{w, &asJSON}
	cmd.AddCommand(k.create(), k.list(), k.show(), k.update(), k.rotate(), k.revoke())
	return cmd
}

type keyCommands struct {
	world
	asJSON *bool
}

// commandLine is who changes keys by these commands.
func commandLine() gateway.Actor { return gateway.Actor{Name: "command line"} }

// with opens the store, and does something with its keys.
func (k *keyCommands) with(ctx context.Context, do func(*store.Store, *auth.Keys) error) (err error) {
	cfg, err := config.LoadGuarded(k.configFile(), k.getenv)
	if err != nil {
		return err
	}
	if !persists(cfg) {
		return errors.New("the keys of this gateway are in memory, where this command cannot reach them: use /api/keys of the running gateway " +
			"(as POST /api/keys to make one), or set DATABASE_PATH or DATABASE_URL so that they persist")
	}
	tables, err := store.Open(ctx, storeOf(cfg, ""))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tables.Close()) }()
	given := func() bool { return cfg.AdminKey != "" }
	return do(tables, &auth.Keys{Store: tables, Given: given, Now: time.Now})
}

func (k *keyCommands) create() *cobra.Command {
	var f keyFlags
	cmd := &cobra.Command{
		Use:   "create --label TEXT",
		Short: "Make a key, and print its secret, which is only shown now",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := f.body(cmd)
			if err != nil {
				return err
			}
			return k.with(cmd.Context(), func(_ *store.Store, keys *auth.Keys) error {
				made, err := keys.Create(cmd.Context(), commandLine(), body)
				if err != nil {
					return err
				}
				return k.printIssued(made)
			})
		},
	}
	f.define(cmd)
	return cmd
}

func (k *keyCommands) list() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List all keys, the newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.with(cmd.Context(), func(tables *store.Store, _ *auth.Keys) error {
				all, err := allKeys(cmd.Context(), tables)
				if err != nil {
					return err
				}
				return k.printKeys(all)
			})
		},
	}
}

const keysPage = 1000

func allKeys(ctx context.Context, tables *store.Store) ([]dashboardapi.Key, error) {
	all, last := []dashboardapi.Key{}, gateway.KeyID("")
	for {
		page, err := tables.APIKeys(ctx, last, keysPage)
		if err != nil || len(page) == 0 {
			return all, err
		}
		for _, key := range page {
			all = append(all, dashboardapi.ShowKey(key))
		}
		last = page[len(page)-1].ID
	}
}

func (k *keyCommands) show() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show a key, without its secret",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.with(cmd.Context(), func(tables *store.Store, _ *auth.Keys) error {
				key, err := tables.Key(cmd.Context(), gateway.KeyID(args[0]))
				if err != nil {
					return withID(args[0], err)
				}
				return k.printKey(key)
			})
		},
	}
}

func (k *keyCommands) update() *cobra.Command {
	var f keyFlags
	cmd := &cobra.Command{
		Use:   "update ID",
		Short: "Change the named fields of a key",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := f.body(cmd)
			if err != nil {
				return err
			}
			return k.with(cmd.Context(), func(_ *store.Store, keys *auth.Keys) error {
				key, err := keys.Update(cmd.Context(), commandLine(), gateway.KeyID(args[0]), body)
				if err != nil {
					return withID(args[0], err)
				}
				return k.printKey(key)
			})
		},
	}
	f.define(cmd)
	return cmd
}

func (k *keyCommands) rotate() *cobra.Command {
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "rotate ID",
		Short: "Give a key a new secret, and print it; the old one works for a grace time",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.with(cmd.Context(), func(_ *store.Store, keys *auth.Keys) error {
				body := fmt.Appendf(nil, `{"grace_seconds":%d}`, int64(grace/time.Second))
				made, err := keys.Rotate(cmd.Context(), commandLine(), gateway.KeyID(args[0]), body)
				if err != nil {
					return withID(args[0], err)
				}
				return k.printIssued(made)
			})
		},
	}
	cmd.Flags().DurationVar(&grace, "grace", 24*time.Hour, "how long the secret before works still; 0s ends it now")
	return cmd
}

func (k *keyCommands) revoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "Revoke a key, permanently and within a second",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.with(cmd.Context(), func(_ *store.Store, keys *auth.Keys) error {
				key, err := keys.Revoke(cmd.Context(), commandLine(), gateway.KeyID(args[0]), []byte("{}"))
				if err != nil {
					return withID(args[0], err)
				}
				return k.printKey(key)
			})
		},
	}
}

func withID(id string, err error) error { return fmt.Errorf("key %q: %w", id, err) }

// keyFlags are the fields of a key.
type keyFlags struct {
	label, role, owner, team, expires string
	models, networks, unset           []string
	tags                              map[string]string
	limits                            map[string]int64
	budget                            map[string]string
	providerKeys                      bool
}

func (f *keyFlags) define(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.label, "label", "", "what people recognise the key by")
	flags.StringVar(&f.role, "role", "", "member or admin; left out, the first key is an admin's and each other one a member's")
	flags.StringVar(&f.owner, "owner", "", "the user that usage is booked to")
	flags.StringVar(&f.team, "team", "", "the user's team")
	flags.StringVar(&f.expires, "expires", "", "when the key ends: a time (2027-01-31 or 2027-01-31T12:00:00Z) or how long from now (720h)")
	flags.StringSliceVar(&f.models, "models", nil, "models that it may use, separated by commas; * stands for any characters")
	flags.StringSliceVar(&f.networks, "networks", nil, "networks that clients may call from, as 10.0.0.0/8, separated by commas")
	flags.StringToStringVar(&f.tags, "tags", nil, "tags of its usage, as feature=search,env=prod; they replace those before")
	flags.StringToInt64Var(&f.limits, "limits", nil, "limits of its own, as requests_per_minute=60,tokens_per_day=100000; 0 lets nothing through: "+
		strings.Join(gateway.KeyLimitNames(), ", "))
	flags.StringToStringVar(&f.budget, "budget", nil, "budgets of its own in US dollars, as day=2.50,month=40; unlimited lifts the configuration's, 0 lets nothing "+
		"through; they replace those before: day, week, month, total")
	flags.BoolVar(&f.providerKeys, "provider-keys", false, "clients may bring a provider's key of their own in X-Provider-Key")
	flags.StringSliceVar(&f.unset, "unset", nil, "fields to take away, as expires_at,models: any model then, and no end")
}

// body returns the flags in the form of /api/keys.
func (f *keyFlags) body(cmd *cobra.Command) ([]byte, error) {
	body := map[string]any{}
	for flag, field := range map[string]struct {
		name  string
		value any
	}{
		"label": {"label", f.label}, "role": {"role", f.role}, "owner": {"owner", f.owner}, "team": {"team", f.team}, "models": {"models", f.models},
		"networks": {"networks", f.networks}, "tags": {"tags", f.tags}, "limits": {"limits", f.limits}, "provider-keys": {"provider_keys", f.providerKeys},
	} {
		if cmd.Flags().Changed(flag) {
			body[field.name] = field.value
		}
	}
	if cmd.Flags().Changed("expires") {
		at, err := endOf(f.expires, time.Now())
		if err != nil {
			return nil, err
		}
		body["expires_at"] = at.UTC().Format(time.RFC3339Nano)
	}
	if cmd.Flags().Changed("budget") {
		body["budget"] = budgetOf(f.budget)
	}
	for _, name := range f.unset {
		body[name] = nil
	}
	return json.Marshal(body)
}

// budgetOf returns a list of budgets in the form of /api/keys, which checks it.
func budgetOf(said map[string]string) []map[string]any {
	budgets := []map[string]any{}
	for _, per := range slices.Sorted(maps.Keys(said)) {
		usd := any(said[per])
		switch number := json.Number(said[per]); {
		case said[per] == "unlimited":
			usd = nil
		case json.Valid([]byte(number)):
			usd = number
		}
		budgets = append(budgets, map[string]any{"per": per, "usd": usd})
	}
	return budgets
}

// endOf reads when a key ends.
func endOf(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--expires %q must be a time (2027-01-31 or 2027-01-31T12:00:00Z) or how long from now (720h)", text)
}

func (k *keyCommands) printJSON(v any) error {
	e := json.NewEncoder(k.stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func (k *keyCommands) printIssued(made gateway.IssuedKey) error {
	if *k.asJSON {
		return k.printJSON(dashboardapi.ShowIssued(made))
	}
	fmt.Fprintf(k.stdout, "The secret of %s, which is only shown now:\n\n  %s\n\n", made.ID, made.Secret)
	return k.printKey(made.APIKey)
}

func (k *keyCommands) printKey(key gateway.APIKey) error {
	shown := dashboardapi.ShowKey(key)
	if *k.asJSON {
		return k.printJSON(shown)
	}
	return table(k.stdout, func(w io.Writer) {
		for _, line := range [][2]string{
			{"id", string(key.ID)}, {"prefix", key.Prefix}, {"label", key.Label}, {"role", key.Role.String()}, {"status", string(shown.Status)},
			{"owner", key.Owner}, {"team", key.Team}, {"models", listOr(key.Models, "any")}, {"networks", listOr(key.Networks, "any")},
			{"tags", compact(key.Tags)}, {"limits", compact(key.Limits)}, {"budget", budgetText(key.Budget)}, {"provider keys", allowed(key.ProviderKeys)},
			{"created", moment(&key.CreatedAt)}, {"expires", moment(key.ExpiresAt)}, {"revoked", moment(key.RevokedAt)},
			{"old secret works until", moment(key.GraceUntil)},
		} {
			fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
		}
	})
}

func (k *keyCommands) printKeys(all []dashboardapi.Key) error {
	if *k.asJSON {
		return k.printJSON(map[string]any{"data": all})
	}
	return table(k.stdout, func(w io.Writer) {
		fmt.Fprintln(w, "id\tprefix\tlabel\trole\towner\tteam\tstatus\texpires\tcreated")
		for _, key := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", key.ID, key.Prefix, key.Label, key.Role, key.Owner, key.Team, key.Status,
				moment(key.ExpiresAt), moment(&key.CreatedAt))
		}
	})
}

func table(out io.Writer, rows func(io.Writer)) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	rows(w)
	_ = w.Flush() // an error is the reader leaving
	return nil
}

// listOr writes a list on one line. A missing list has another text than an empty one.
func listOr[T any](list []T, absent string) string {
	if list == nil {
		return absent
	}
	if len(list) == 0 {
		return "none"
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ", "), "[]")
}

func compact(v any) string {
	text, err := json.Marshal(v)
	if err != nil || string(text) == "{}" {
		return ""
	}
	return string(text)
}

func allowed(may bool) string {
	if may {
		return "allowed"
	}
	return "not allowed"
}

func moment(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// budgetText is budgets on one line; of none the configuration's hold.
func budgetText(all []gateway.KeyBudget) string {
	var texts []string
	for _, b := range all {
		amount := "unlimited"
		if b.Amount != nil {
			amount = "$" + b.Amount.String()
		}
		texts = append(texts, b.Per.String()+" "+amount)
	}
	return strings.Join(texts, ", ")
}
