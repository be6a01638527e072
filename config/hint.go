package config

import (
	"fmt"
	"slices"
	"strings"
)

const maxHints = 12 // names that a fault lists

// hint suggests the name that was probably meant, and lists those that exist.
func hint(name, verb string, known []string) string {
	text := ""
	if near := nearest(name, known); near != "" {
		text = fmt.Sprintf(": did you mean %q?", near)
	}
	if len(known) == 0 {
		return text
	}
	listed := strings.Join(known[:min(len(known), maxHints)], ", ")
	if len(known) > maxHints {
		listed += ", " + hidden
	}
	if text == "" {
		return ": " + verb + " " + listed
	}
	return text + " " + verb + " " + listed
}

// nearest returns the known name that differs by at most two letters; "" for none.
func nearest(name string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if len(name)-len(k) > 2 || len(k)-len(name) > 2 {
			continue
		}
		if d := distance(name, k); d < least && d < len(k) {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove or change to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := slices.Clone(row)
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
