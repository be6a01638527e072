package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"ai-gateway/gateway"
)

func (w world) usageCommand() *cobra.Command {
	at := span{to: "0s"}
	var group string
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "Show what was used and what it cost, by model, key, user, team, tag, hour or day",
		Long: `Show what was used and what it cost, with totals and the course over time.

The course is of costs, or of requests where nothing cost anything. A request with several
tags is in several groups of --group tag, but once in the total. It opens the store of the
configuration, so a gateway need not run.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return w.usage(cmd.Context(), at, group) },
	}
	at.flags(cmd)
	cmd.Flags().Lookup("to").DefValue = "0s"
	at.to = "0s"
	cmd.Flags().StringVar(&group, "group", "model", strings.Join(usageGroups(), ", "))
	return cmd
}

func usageGroups() []string {
	return []string{"model", "backend", "key", "user", "team", "tag", "hour", "day"}
}

// courseSteps is the approximate number of steps of the course over time.
const courseSteps = 24

func (w world) usage(ctx context.Context, at span, group string) (err error) {
	if !slices.Contains(usageGroups(), group) {
		return fmt.Errorf("--group %q must be one of %s", group, strings.Join(usageGroups(), ", "))
	}
	from, to, err := at.times(time.Now())
	if err != nil {
		return err
	}
	_, tables, err := w.openBooks(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tables.Close()) }()
	dimension, _ := gateway.ParseDimension(group) // none for hour and day, which are steps
	bounds, err := courseBounds(from, to, group)
	if err != nil {
		return err
	}
	sums, err := tables.Usage(ctx, gateway.UsageQuery{Group: dimension, Bounds: bounds})
	if err != nil {
		return err
	}
	all, err := tables.Usage(ctx, gateway.UsageQuery{Bounds: bounds})
	if err != nil {
		return err
	}
	fmt.Fprintf(w.stdout, "From %s to %s, UTC\n\n", from.UTC().Format(minutes), to.UTC().Format(minutes))
	w.showUsage(group, bounds, sums, all)
	return nil
}

const minutes = "2006-01-02 15:04"

// courseBounds cuts a period at whole hours or, if that is too coarse, into equal parts.
func courseBounds(from, to time.Time, group string) ([]time.Time, error) {
	step := (to.Sub(from) / courseSteps).Round(time.Minute)
	if step > time.Hour/2 {
		step = step.Round(time.Hour)
	}
	switch group {
	case "hour":
		step = time.Hour
	case "day":
		step = 24 * time.Hour
	}
	step = max(step, time.Minute)
	if to.Sub(from)/step > 10_000 {
		return nil, fmt.Errorf("--group %s: the period is too long for it", group)
	}
	bounds := []time.Time{from}
	for next := from.Truncate(step).Add(step); next.Before(to); next = next.Add(step) {
		bounds = append(bounds, next)
	}
	return append(bounds, to), nil
}

// usageLine is what is shown of a group.
type usageLine struct {
	name   string
	sum    gateway.UsageSum
	course []gateway.UsageSum
}

func (l *usageLine) add(s gateway.UsageSum) {
	for _, into := range []*gateway.UsageSum{&l.sum, &l.course[s.Bucket]} {
		into.Requests += s.Requests
		into.Failed += s.Failed
		into.Unpriced += s.Unpriced
		into.Tokens.Prompt += s.Tokens.Prompt
		into.Tokens.Completion += s.Tokens.Completion
		into.Cost += s.Cost
	}
}

// usageLines are the groups, the dearest first; hours and days in their order.
func usageLines(group string, bounds []time.Time, sums []gateway.UsageSum) []*usageLine {
	lines := map[string]*usageLine{}
	var order []*usageLine
	for _, s := range sums {
		name := s.Group
		if group == "hour" || group == "day" {
			name = bounds[s.Bucket].UTC().Format(minutes)
		}
		if s.Label != "" {
			name += " (" + s.Label + ")"
		}
		if lines[name] == nil {
			lines[name] = &usageLine{name: name, course: make([]gateway.UsageSum, len(bounds)-1)}
			order = append(order, lines[name])
		}
		lines[name].add(s)
	}
	if group != "hour" && group != "day" {
		slices.SortStableFunc(order, func(a, b *usageLine) int { return compareLines(a.sum, b.sum) })
	}
	return order
}

func compareLines(a, b gateway.UsageSum) int {
	switch {
	case a.Cost != b.Cost && a.Cost > b.Cost, a.Cost == b.Cost && a.Requests > b.Requests:
		return -1
	case a.Cost == b.Cost && a.Requests == b.Requests:
		return 0
	}
	return 1
}

func (w world) showUsage(group string, bounds []time.Time, sums, all []gateway.UsageSum) {
	table := tabwriter.NewWriter(w.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s\trequests\tfailed\ttokens in\ttokens out\tUSD\tunpriced\tcourse\n", group)
	total := usageLine{name: "all", course: make([]gateway.UsageSum, len(bounds)-1)}
	for _, s := range all {
		total.add(s)
	}
	for _, l := range append(usageLines(group, bounds, sums), &total) {
		course := sparkline(l.course)
		if l != &total && (group == "hour" || group == "day") {
			course = bar(l.sum, total.course)
		}
		name := l.name
		if name == "" {
			name = "(none)"
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%s\t%d\t%s\n", printable(name), l.sum.Requests, l.sum.Failed, l.sum.Tokens.Prompt, l.sum.Tokens.Completion,
			l.sum.Cost, l.sum.Unpriced, course)
	}
	_ = table.Flush() // an error is the reader leaving
}

// printable removes control characters from names that clients choose.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || 0x7f <= c && c < 0xa0 {
			return '?'
		}
		return c
	}, text)
}

const levels = "▁▂▃▄▅▆▇█"

// heights are the costs of steps, or the numbers of requests where nothing cost anything.
func heights(course []gateway.UsageSum) (heights []int64, highest int64) {
	for _, s := range course {
		heights = append(heights, int64(s.Cost))
		highest = max(highest, int64(s.Cost))
	}
	if highest > 0 {
		return heights, highest
	}
	for i, s := range course {
		heights[i] = s.Requests
		highest = max(highest, s.Requests)
	}
	return heights, highest
}

// sparkline draws a course; a step without anything is a space.
func sparkline(course []gateway.UsageSum) string {
	var line strings.Builder
	all, highest := heights(course)
	marks := []rune(levels)
	for _, h := range all {
		if h <= 0 {
			line.WriteByte(' ')
			continue
		}
		line.WriteRune(marks[int(float64(h)/float64(highest)*float64(len(marks)-1))])
	}
	return line.String()
}

// barLength is how long the longest bar is.
const barLength = 20

// bar draws a step as long as its part of the highest.
func bar(s gateway.UsageSum, course []gateway.UsageSum) string {
	_, highest := heights(course)
	own, _ := heights([]gateway.UsageSum{s})
	if highest == 0 || own[0] > highest {
		return ""
	}
	return strings.Repeat("█", int(float64(own[0])/float64(highest)*barLength))
}
