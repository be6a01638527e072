package store

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"ai-gateway/gateway"
	"ai-gateway/store/storetest"
)

func TestACallToAServerThatHangsEndsSoonAfterItsContext(t *testing.T) {
	server, url := storetest.Start(t)
	s := opened(t, Config{URL: url}, "postgres", url)
	write(t, s, row())
	do(t, server.Hang())
	for name, call := range map[string]func(context.Context) error{
		"write": func(ctx context.Context) error {
			_, err := s.Write(ctx, []*gateway.Row{row()}, writer, gateway.LogPosition{})
			return err
		},
		"read": func(ctx context.Context) error {
			_, err := s.Position(ctx, writer)
			return err
		},
		"ping": s.Ping,
	} {
		ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
		since := time.Now()
		err := call(ctx)
		stop()
		if err == nil || time.Since(since) > connectTimeout+3*graceToCancel {
			t.Errorf("%s: %v after %s", name, err, time.Since(since))
		}
	}
	do(t, server.Resume())
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	for _, err := s.Write(ctx, []*gateway.Row{row()}, writer, gateway.LogPosition{}); err != nil; _, err = s.Write(ctx, []*gateway.Row{row()}, writer, gateway.LogPosition{}) {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Fatalf("it does not come back: %v", err)
		}
	}
}

func TestGatewaysThatStartAtOnceMakeTheTablesOnce(t *testing.T) {
	url := storetest.NewDatabase(t)
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			s, err := Open(t.Context(), Config{URL: url})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s := opened(t, Config{URL: url}, "postgres", url)
	write(t, s, row())
}
