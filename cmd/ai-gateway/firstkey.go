package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ai-gateway/auth"
	"ai-gateway/config"
	"ai-gateway/gateway"
	"ai-gateway/store"
)

// firstKey makes an admin's key for a gateway without keys that other machines can reach, and
// prints it once. Without it nobody could use the gateway, as it is not open.
func (w world) firstKey(ctx context.Context, cfg config.Config, files runFiles) (err error) {
	signsIn := cfg.SignIn.IsOn() && len(cfg.SignIn.Admins) > 0
	if cfg.IsLocal() || cfg.Open || cfg.AdminKey != "" || signsIn {
		return nil
	}
	tables, err := store.Open(ctx, storeOf(cfg, files))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tables.Close()) }()
	keys := auth.Keys{Store: tables, Given: func() bool { return false }, Now: time.Now}
	key, made, err := keys.CreateFirst(ctx, gateway.Actor{Name: "first start"}, "first admin key")
	if err != nil {
		return fmt.Errorf("making the first admin key: %w", err)
	}
	if made {
		fmt.Fprintf(w.stdout, "\nOther machines can reach this gateway, so everybody needs a key. This is an admin's, and is only shown now:\n\n  %s\n\n", key.Secret)
	}
	return nil
}
