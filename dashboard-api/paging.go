package dashboardapi

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// PageParameters choose a page.
type PageParameters struct {
	Cursor string `query:"cursor" doc:"Of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"10000" doc:"How many entries. JSON: 100, and 1000 at most. CSV: 10000"`
	Accept string `header:"Accept" doc:"text/csv for a table"`
}

const (
	pageOfJSON    = 100
	maxPageOfJSON = 1000
	maxPageOfCSV  = 10_000
)

// read returns the requested number of entries, and the place after which they begin.
func (in *PageParameters) read() (limit int, after gateway.RequestPlace, err error) {
	unset, most := pageOfJSON, maxPageOfJSON
	if in.wantsCSV() {
		unset, most = maxPageOfCSV, maxPageOfCSV
	}
	var tooMany error
	if limit = cmp.Or(in.Limit, unset); limit > most {
		tooMany = badParameter("limit", fmt.Sprintf("must be an integer from 1 to %d.", most))
	}
	after, err = parseCursor(in.Cursor)
	return limit, after, errors.Join(tooMany, err)
}

func (in *PageParameters) wantsCSV() bool { return strings.HasPrefix(in.Accept, "text/csv") }

// PageHeaders say whether a table has more rows.
type PageHeaders struct {
	Truncated  string `header:"X-Truncated" doc:"true if more entries match"`
	NextCursor string `header:"X-Next-Cursor" doc:"The cursor of the page behind this one"`
}

func (in *PageParameters) headers(next *string) PageHeaders {
	if next == nil || !in.wantsCSV() {
		return PageHeaders{}
	}
	return PageHeaders{"true", *next}
}

// ListParameters choose a page of a list that is continued by the id of its last entry.
type ListParameters struct {
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many entries"`
}

// cut returns at most as many entries of a list as are asked for, and the id of the last one if
// there are more.
func cut[T any](list []T, limit int, id func(T) string) (page []T, next *string) {
	if len(list) <= limit {
		return list, nil
	}
	last := id(list[limit-1])
	return list[:limit], &last
}

// withCut adds a row to a cut table that says so, with the parameter that continues it.
func withCut(rows [][]string, parameter string, next *string) [][]string {
	if next == nil {
		return rows
	}
	last := make([]string, len(rows[0]))
	last[0] = fmt.Sprintf("cut after %d rows: more match, go on with %s=%s", len(rows)-1, parameter, *next)
	return append(rows, last)
}

const cursorTime = "2006-01-02T15:04:05.000000Z"

// cursorAt is an opaque name of the place behind a request.
func cursorAt(startedAt time.Time, id uuid.UUID) string {
	return base64.RawURLEncoding.EncodeToString([]byte(startedAt.UTC().Format(cursorTime) + " " + id.String()))
}

func parseCursor(text string) (gateway.RequestPlace, error) {
	if text == "" {
		return gateway.RequestPlace{}, nil
	}
	fault := badParameter("cursor", "must be the next of a page before.")
	plain, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return gateway.RequestPlace{}, fault
	}
	at, id, _ := strings.Cut(string(plain), " ")
	var place gateway.RequestPlace
	if place.StartedAt, err = time.Parse(cursorTime, at); err != nil {
		return gateway.RequestPlace{}, fault
	}
	if place.ID, err = uuid.Parse(id); err != nil {
		return gateway.RequestPlace{}, fault
	}
	return place, nil
}
