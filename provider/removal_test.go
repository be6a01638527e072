package provider_test

import (
	"strings"
	"testing"
)

// TestOnlyTheUsageThatWeAskedForIsTakenOut compares what reaches a client who did not ask, for
// every end of lines and every split.
func TestOnlyTheUsageThatWeAskedForIsTakenOut(t *testing.T) {
	const answer = hello + stop
	for _, row := range []struct{ name, event, want string }{
		{"nothing else", usage, ""},
		{"what every event says", `data: {"id":"c","object":"o","created":1,"model":"m","system_fingerprint":"f","service_tier":"default","obfuscation":"x","choices":[],"usage":` + figures + "}\n\n", ""},
		{"choices are null", `data: {"choices":null,"usage":` + figures + "}\n\n", ""},
		{"no choices at all", `data: {"usage":` + figures + "}\n\n", ""},
		{"white space", "data:  { \"choices\" : [ ] , \"usage\" : " + figures + " } \n\n", ""},
		{"others are null", `data: {"choices":[],"error":null,"timings":null,"usage":` + figures + "}\n\n", ""},
		{"escaped", `data: {"choices":[],"us\u0061ge":` + figures + "}\n\n", ""},
		{"under an event's name", "event: usage\nid: 1\n" + usage, ""},
		{"timings after it", `data: {"choices":[],"usage":` + figures + `,"timings":{"predicted_ms":12.5}}` + "\n\n", `data: {"choices":[],"timings":{"predicted_ms":12.5}}` + "\n\n"},
		{"citations before it", `data: {"citations":["https://example.com/a"],"choices":[],"usage":` + figures + "}\n\n", `data: {"citations":["https://example.com/a"],"choices":[]}` + "\n\n"},
		{"search results alone", `data: {"usage":` + figures + `,"search_results":[]}` + "\n\n", `data: {"search_results":[]}` + "\n\n"},
		{"usage twice", `data: {"usage":{},"choices":[],"x":1,"usage":` + figures + "}\n\n", `data: {"choices":[],"x":1}` + "\n\n"},
		{"an error", `data: {"choices":[],"error":{"message":"m"},"usage":` + figures + "}\n\n", `data: {"choices":[],"error":{"message":"m"}}` + "\n\n"},
		{"several data lines", ": c\ndata: {\"timings\":\nid: 7\ndata: {\"a\":\ndata: 1},\ndata:\"usage\":" + figures + "}\nretry: 1\n\n",
			": c\ndata: {\"timings\":\ndata: {\"a\":\ndata: 1}}\nid: 7\nretry: 1\n\n"},
		{"a choice", `data: {"choices":[{"index":0,"delta":{"content":"more"}}],"usage":` + figures + "}\n\n", `data: {"choices":[{"index":0,"delta":{"content":"more"}}],"usage":` + figures + "}\n\n"},
		{"no usage", azure, azure},
		{"usage is null", `data: {"choices":[],"usage":null}` + "\n\n", `data: {"choices":[],"usage":null}` + "\n\n"},
		{"no JSON", `data: {"choices":[],"usage":` + figures + "\n\n", `data: {"choices":[],"usage":` + figures + "\n\n"},
		{"usage further inside", `data: {"choices":[],"x":{"usage":` + figures + "}}\n\n", `data: {"choices":[],"x":{"usage":` + figures + "}}\n\n"},
	} {
		for _, end := range []string{"\n", "\r\n", "\r"} {
			stream := strings.ReplaceAll(answer+row.event+done, "\n", end)
			want := strings.ReplaceAll(answer+row.want+done, "\n", end)
			whole := carry(stream, true)
			if whole.out != want {
				t.Errorf("%s, %q:\n got %q\nwant %q", row.name, end, whole.out, want)
			}
			for i := range stream {
				assertSame(t, row.name, whole, carry(stream, true, i))
			}
			assertSame(t, row.name, whole, carry(stream, true, everyByte(stream)...))
		}
	}
}

func TestTheUsageIsTakenOutOfAnEventThatTheEndCutsShort(t *testing.T) {
	const event = `data: {"choices":[],"timings":{},"usage":` + figures + `}`
	for _, end := range []string{"", "\n", "\r\n"} {
		if got := carry(hello+stop+event+end, true); got.out != hello+stop+`data: {"choices":[],"timings":{}}`+end {
			t.Errorf("%q: got %q", end, got.out)
		}
	}
}
