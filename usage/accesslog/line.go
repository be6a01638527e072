package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"ai-gateway/gateway"
)

var errLine = errors.New("not a line of the access log")

// Parse reads a line of the access log: JSON with string, number or null values, as
// Envoy writes them.
func Parse(b []byte) (gateway.JournalLine, error) {
	var l gateway.JournalLine
	if !gjson.ValidBytes(b) { // a line that a full disk tore may be followed by another one in the same line
		b = b[max(bytes.LastIndex(b, []byte(`{"`)), 0):]
	}
	if !gjson.ValidBytes(b) {
		return l, fmt.Errorf("%w: it is not JSON", errLine)
	}
	var usage, tries string
	version := int64(1)
	noted := false
	gjson.ParseBytes(b).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case gateway.LineVersion:
			version = count(value)
		case gateway.LineID:
			l.ID, _ = uuid.Parse(value.Str) // a bad one stays zero
		case gateway.LineStatus:
			l.Status = int(count(value))
		case gateway.LineDuration:
			l.Duration = time.Duration(count(value)) * time.Millisecond
		case gateway.LineTTFT:
			l.TTFT = time.Duration(count(value)) * time.Millisecond
		case gateway.LineAttempts:
			l.Attempts = int(count(value))
		case gateway.LineBackend:
			l.Backend = gateway.BackendOf(value.Str)
		case gateway.LineBytesSent:
			l.BytesSent = count(value)
		case gateway.LineFlags:
			l.Flags = value.Str
		case gateway.LineDetails:
			l.Details = value.Str
		case gateway.LineParent:
			l.TraceParent = header(value)
		case gateway.LineState:
			l.TraceState = header(value)
		case gateway.LineUsage:
			usage = value.Str
		case gateway.LineTries:
			tries, noted = value.Str, true
		}
		return true
	})
	if version > gateway.AccessLogVersion {
		return l, fmt.Errorf("%w: its format is %d, and this gateway knows formats up to %d", errLine, version, gateway.AccessLogVersion)
	}
	if l.ID == (uuid.UUID{}) {
		return l, fmt.Errorf("%w: it has no id", errLine)
	}
	l.Seen = gateway.ReadSeen(usage)
	l.Tries = parseTries(tries, l)
	if noted && (len(l.Tries) > 0 || l.Status == 0 || l.Status >= http.StatusBadRequest) {
		l.Attempts = len(l.Tries) // Envoy counts a backend without an address, which it could not call
	}
	return l, nil
}

// count reads a number, which may be in a string, null, or "-". Anything else, negative
// numbers and those beyond 2^53 count as 0.
func count(v gjson.Result) int64 {
	n := v.Int()
	if v.Type == gjson.String {
		n, _ = strconv.ParseInt(v.Str, 10, 64) // 0 if it is none
	}
	if n < 0 || n > 1<<53 {
		return 0
	}
	return n
}

// header reads a header; Envoy writes "-" or null for none.
func header(v gjson.Result) string {
	if v.Str == "-" {
		return ""
	}
	return v.Str
}

// maxTries is more than any number of attempts that can be configured.
const maxTries = 100

// parseTries reads "|backend start" or "|backend start status headers" for each try, with
// times in milliseconds since 1970. The bytes that reached the client belong to the last one.
func parseTries(text string, l gateway.JournalLine) []gateway.Try {
	var tries []gateway.Try
	first := int64(0)
	for part := range strings.SplitSeq(strings.TrimPrefix(text, "|"), "|") {
		words := strings.Fields(part)
		if len(words) != 2 && len(words) != 4 || len(tries) == maxTries {
			break
		}
		start, _ := strconv.ParseInt(words[1], 10, 64) // 0 if it is not a number, as below
		if len(tries) == 0 {
			first = start
		}
		try := gateway.Try{Backend: words[0], Start: since(first, start)}
		if len(words) == 4 {
			try.Status, _ = strconv.Atoi(words[2])
			headers, _ := strconv.ParseInt(words[3], 10, 64)
			try.Duration = since(start, headers)
		}
		tries = append(tries, try)
	}
	if n := len(tries); n > 0 {
		last := &tries[n-1]
		last.Bytes, last.Duration = l.BytesSent, max(l.Duration-last.Start, 0)
	}
	return tries
}

// since is the time between two counts of milliseconds.
func since(from, to int64) time.Duration {
	return time.Duration(min(max(to-from, 0), int64(time.Hour/time.Millisecond)*24)) * time.Millisecond
}
