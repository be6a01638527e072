package sdktest_test

import (
	"testing"
	"time"
)

// lateBy is how much later than it is told a client may come back: its clock, its timers and
// this machine's load.
const lateBy = 2 * time.Second

// TestTheOfficialSDKsWaitAsLimitsTellThem has a limit of one request a minute, and a second
// request that passes in the next one: the SDK repeats it of itself, when it is told to.
func TestTheOfficialSDKsWaitAsLimitsTellThem(t *testing.T) {
	binary := buildGateway(t)
	const input = `[
		{"api":"chat","params":{"model":"gen-chunks=1-id=1","messages":[{"role":"user","content":"Hello"}]}},
		{"api":"chat","params":{"model":"gen-chunks=1-id=2","messages":[{"role":"user","content":"Hello"}]}}]`
	for name, s := range sdks(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.requireInstalled(t)
			provider := startProvider(t)
			gateway := startGateway(t, binary, provider.url, "AI_GATEWAY_RATE_LIMIT_RPM=1")
			next := lateInAMinute()
			s.run(t, gateway, []byte(input))
			provider.waitForEnds()
			calls := provider.Books().Calls
			if len(calls) != 2 {
				t.Fatalf("the provider has seen %d calls, want both", len(calls))
			}
			first, second := calls[0].At, calls[1].At
			if !first.Before(next) || second.Before(next) || second.After(next.Add(lateBy)) {
				t.Errorf("the first request came at %v, the second one at %v: it was to wait until %v", first, second, next)
			}
		})
	}
}

// lateInAMinute waits until a minute is about to end, which the SDKs have time to reach, and
// returns when the next one begins.
func lateInAMinute() time.Time {
	const enough, most = 8 * time.Second, 15 * time.Second
	next := time.Now().Truncate(time.Minute).Add(time.Minute)
	if time.Until(next) < enough {
		next = next.Add(time.Minute)
	}
	time.Sleep(time.Until(next.Add(-most)))
	return next
}
