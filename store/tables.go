package store

import (
	"context"

	"ai-gateway/gateway"
)

// Tables answer for themselves, as soon as they can be opened, what others ask of a Store.

// Ping returns an error if the tables cannot be used.
func (t *Tables) Ping(ctx context.Context) error {
	store, err := t.Store(ctx)
	if err != nil {
		return err
	}
	return store.Ping(ctx)
}

// Costs returns the sums of every key, in the order of their ids.
func (t *Tables) Costs(ctx context.Context) ([]gateway.KeyCosts, error) {
	store, err := t.Store(ctx)
	if err != nil {
		return nil, err
	}
	return store.Costs(ctx)
}

// KeyCosts returns the sums of one key, or gateway.ErrNoKey.
func (t *Tables) KeyCosts(ctx context.Context, id gateway.KeyID) (gateway.KeyCosts, error) {
	store, err := t.Store(ctx)
	if err != nil {
		return gateway.KeyCosts{}, err
	}
	return store.KeyCosts(ctx, id)
}

// Prompts returns the newest entries of the prompt log, newest first.
func (t *Tables) Prompts(ctx context.Context, limit int) ([]gateway.LoggedPrompt, error) {
	store, err := t.Store(ctx)
	if err != nil {
		return nil, err
	}
	return store.Prompts(ctx, limit)
}
