package xds

import (
	"net/url"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"

	"ai-gateway/gateway"
)

// asksFor is a function of Lua that returns how many seconds the script waits before it calls the
// same backend again, or false where it would not.
const asksFor = `
function asks_for(headers, several, repeated)
  local handle = {headers = function() return {get = function(_, name) return headers[name] end} end, timestamp = function() return 1795996800250 end}
  local wait = requested_wait(handle)
  if wait and wait > LONGEST_WAIT then return false end
  return pause(wait, several, repeated)
end`

func TestTheScriptWaitsAsLongAsAProviderAsks(t *testing.T) {
	base, err := url.Parse("https://provider.example/v1")
	if err != nil {
		t.Fatal(err)
	}
	source := Config{Retry: gateway.Retry{Attempts: 3, Delay: 100 * time.Millisecond}, Journal: "/j"}.attemptSource(gateway.Backend{Name: "b", BaseURL: base}).GetInlineString()
	state := lua.NewState()
	defer state.Close()
	if err := state.DoString(source + strings.ReplaceAll(asksFor, "LONGEST_WAIT", luaNumber(longestRetryAfter.Seconds()))); err != nil {
		t.Fatal(err)
	}
	const handedOut = -1
	for name, c := range map[string]struct {
		headers map[string]string
		want    float64
	}{
		"nothing said":          {nil, 0},
		"seconds":               {map[string]string{"retry-after": "2"}, 2},
		"a fraction":            {map[string]string{"retry-after": "1.5"}, 2},
		"no time":               {map[string]string{"retry-after": "0"}, 0},
		"milliseconds":          {map[string]string{"retry-after-ms": "250"}, 1},
		"milliseconds go first": {map[string]string{"retry-after": "3600", "retry-after-ms": "100.5"}, 1},
		"a date":                {map[string]string{"retry-after": "Mon, 30 Nov 2026 00:00:03 GMT"}, 3}, // it is a quarter of a second past midnight
		"a date of RFC 850":     {map[string]string{"retry-after": "Monday, 30-Nov-26 00:00:03 GMT"}, 3},
		"a date of asctime":     {map[string]string{"retry-after": "Mon Nov 30 00:00:03 2026"}, 3},
		"a date gone by":        {map[string]string{"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}, 0},
		"by its own clock":      {map[string]string{"date": "Thu, 29 Feb 2024 23:59:58 GMT", "retry-after": "Fri, 01 Mar 2024 00:00:00 GMT"}, 2},
		"a word":                {map[string]string{"retry-after": "soon"}, 0},
		"below zero":            {map[string]string{"retry-after": "-5"}, 0},
		"not for an hour":       {map[string]string{"retry-after": "3600"}, handedOut},
		"not before a date":     {map[string]string{"retry-after": "Mon, 30 Nov 2026 01:00:00 GMT"}, handedOut},
	} {
		headers := state.NewTable()
		for key, value := range c.headers {
			headers.RawSetString(key, lua.LString(value))
		}
		if err := state.CallByParam(lua.P{Fn: state.GetGlobal("asks_for"), NRet: 1, Protect: true}, headers, lua.LFalse, lua.LNumber(0)); err != nil {
			t.Fatal(err)
		}
		got, handed := state.Get(-1), lua.LValue(lua.LFalse)
		state.Pop(1)
		if got == handed && c.want != handedOut || got != handed && float64(lua.LVAsNumber(got)) != c.want {
			t.Errorf("%s: it waits %v, want %v", name, got, c.want)
		}
	}
}

// goesOn is a function of Lua that returns what the script asks of the router after a first 429 of a
// plan with two backends: what to call, and how long to wait.
const goesOn = `
function goes_on(headers)
  local all = {get = function(_, name) return headers[name] end, remove = function(_, name) headers[name] = nil end, replace = function(_, name, value) headers[name] = value end}
  local metadata = {get = function() return {priority_groups = {{}, {}}} end}
  decide({headers = function() return all end, streamInfo = function() return {dynamicMetadata = function() return metadata end} end}, "429", {tries = "|b 429"})
  return tostring(headers["` + retryHeader + `"]) .. " " .. tostring(headers["` + waitHeader + `"])
end`

func TestTheScriptGoesToTheNextBackendWithoutWaiting(t *testing.T) {
	base := &url.URL{Scheme: "https", Host: "provider.example"}
	state := lua.NewState()
	defer state.Close()
	if err := state.DoString(Config{Journal: "/j"}.attemptSource(gateway.Backend{Name: "b", BaseURL: base}).GetInlineString() + goesOn); err != nil {
		t.Fatal(err)
	}
	for _, after := range []string{"", "3600", "2", "soon"} {
		headers := state.NewTable()
		headers.RawSetString("retry-after", lua.LString(after))
		headers.RawSetString("x-should-retry", lua.LString("false"))
		headers.RawSetString(waitHeader, lua.LString("9"))
		if err := state.CallByParam(lua.P{Fn: state.GetGlobal("goes_on"), NRet: 1, Protect: true}, headers); err != nil {
			t.Fatal(err)
		}
		if got := state.ToString(-1); got != "next nil" {
			t.Errorf("after %q it asks for %q", after, got)
		}
		state.Pop(1)
	}
}
