package dashboardapi

import (
	"encoding/csv"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// tabular is an answer that is also available as a table.
type tabular interface{ table() [][]string }

// isTabular reports whether the body of an operation's answers is.
func isTabular[O any]() bool {
	body, ok := reflect.TypeFor[O]().FieldByName("Body")
	return ok && body.Type.Implements(reflect.TypeFor[tabular]())
}

// jsonOnly answers in JSON whatever the client accepts: huma would call it a table.
func jsonOnly(ctx huma.Context, next func(huma.Context)) { next(withoutAccept{ctx}) }

// anyContext has another name than the method of the same, so that it can be embedded.
type anyContext = huma.Context

type withoutAccept struct{ anyContext }

// Header returns a header of the request.
func (c withoutAccept) Header(name string) string {
	if name == "Accept" {
		return ""
	}
	return c.anyContext.Header(name)
}

// byteOrderMark makes spreadsheets read UTF-8.
const byteOrderMark = "\uFEFF"

func marshalCSV(w io.Writer, v any) error {
	t, ok := v.(tabular)
	if !ok {
		return marshalJSON(w, v)
	}
	if _, err := io.WriteString(w, byteOrderMark); err != nil {
		return fmt.Errorf("writing a table: %w", err)
	}
	writer := csv.NewWriter(w)
	writer.UseCRLF = true // RFC 4180
	for _, row := range t.table() {
		for i := range row {
			row[i] = plainCell(row[i])
		}
		if err := writer.Write(row); err != nil {
			return fmt.Errorf("writing a table: %w", err)
		}
	}
	writer.Flush()
	return writer.Error()
}

// plainCell keeps a spreadsheet from running a text as a formula; numbers stay numbers.
func plainCell(text string) string {
	if text == "" || !strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return text
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return text
	}
	return "'" + text
}

func (u Usage) table() [][]string {
	rows := [][]string{{"start", "end", "group", "label", "requests", "failed", "prompt_tokens", "cached_tokens", "completion_tokens",
		"reasoning_tokens", "cost_usd", "unpriced_requests", "estimated_requests"}}
	for _, s := range u.Series {
		for i, p := range s.Points {
			row := []string{u.Buckets[i].Start.Format(time.RFC3339), u.Buckets[i].End.Format(time.RFC3339), s.Group, s.Label}
			for _, n := range []int64{p.Requests, p.Failed, p.PromptTokens, p.CachedTokens, p.CompletionTokens, p.ReasoningTokens} {
				row = append(row, strconv.FormatInt(n, 10))
			}
			rows = append(rows, append(row, p.CostUSD, strconv.FormatInt(p.Unpriced, 10), strconv.FormatInt(p.Estimated, 10)))
		}
	}
	return rows
}

func (p RequestPage) table() [][]string {
	rows := [][]string{{"started_at", "id", "request_id", "model", "backend", "key_id", "key_label", "user_id", "status", "outcome", "attempts",
		"prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "usage_source", "cost_usd", "duration_ms", "ttft_ms", "error_code"}}
	number := func(n *int64) string {
		if n == nil {
			return ""
		}
		return strconv.FormatInt(*n, 10)
	}
	for _, r := range p.Data {
		cost := ""
		if r.CostUSD != nil {
			cost = *r.CostUSD
		}
		row := []string{r.StartedAt.Format(time.RFC3339Nano), r.ID.String(), r.RequestID, r.Model, r.Backend, r.KeyID, r.KeyLabel, r.UserID,
			strconv.Itoa(r.Status), r.Outcome, strconv.Itoa(r.Attempts)}
		for _, n := range []int64{r.PromptTokens, r.CachedTokens, r.CompletionTokens, r.ReasoningTokens} {
			row = append(row, strconv.FormatInt(n, 10))
		}
		rows = append(rows, append(row, r.UsageSource, cost, strconv.FormatInt(r.DurationMS, 10), number(r.TTFTMS), r.ErrorCode))
	}
	return withCut(rows, "cursor", p.Next)
}
