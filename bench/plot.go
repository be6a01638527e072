package bench

import (
	"bytes"
	_ "embed"
	"fmt"
	"math"
	"text/template"
)

//go:embed plot.svg.tmpl
var plotTemplate string

// Places in the plot, in its own units.
const (
	firstGroup = 78  // the first title's base line
	barPitch   = 19  // from bar to bar
	titlePitch = 8   // from a title's base line to its first bar
	groupGap   = 20  // below the last bar
	barsAt     = 112 // left edge
	longestBar = 520
	textDrop   = 11 // from a bar's upper edge to its text's base line
)

// group is one metric in the plot.
type group struct {
	Title, Ratio, Goal string
	Y                  int
	Bars               []bar
}

// bar is one target's value; the longest of a group is as long as that of any other.
type bar struct {
	Target          Target
	Class, Value    string
	Y, TextX, TextY int
	Width           float64
}

var classes = map[Target]string{Direct: "direct", Bare: "bare", NoLedger: "no-ledger", Gateway: "gateway"}

// plot draws the metrics that matter most as an SVG.
func (r Result) plot() ([]byte, error) {
	page := struct {
		Height int
		About  string
		Groups []group
	}{About: r.about() + "; medians"}
	y := firstGroup
	for _, row := range r.Rows {
		if row.Head {
			g := newGroup(row, y)
			page.Groups = append(page.Groups, g)
			y += titlePitch + len(g.Bars)*barPitch + groupGap
		}
	}
	page.Height = y
	t, err := template.New("plot").Parse(plotTemplate)
	if err != nil {
		return nil, fmt.Errorf("parsing the plot's template: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, page); err != nil {
		return nil, fmt.Errorf("drawing the plot: %w", err)
	}
	return out.Bytes(), nil
}

func newGroup(row Row, y int) group {
	g := group{Title: row.Figure + ": " + row.Metric, Y: y}
	if row.Ratio > 0 {
		g.Ratio = number(row.Ratio) + " ×, without its ledger " + number(row.NoLedger) + " ×"
	}
	if row.Goal != "" {
		g.Goal = ", aim " + row.Goal
	}
	largest := math.SmallestNonzeroFloat64 // a difference may be 0, or below it by chance
	for _, v := range row.Values {
		largest = max(largest, v)
	}
	y += titlePitch
	for _, to := range Targets() {
		v, ok := row.Values[to]
		if !ok {
			continue
		}
		width := longestBar * max(v, 0) / largest
		g.Bars = append(g.Bars, bar{Target: to, Class: classes[to], Value: number(v), Y: y, Width: width,
			TextX: barsAt + int(width) + 8, TextY: y + textDrop})
		y += barPitch
	}
	return g
}
