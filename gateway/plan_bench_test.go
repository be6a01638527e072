package gateway

import (
	"fmt"
	"testing"
)

// BenchmarkPlan shows that a request costs the same with ten models and ten thousand.
func BenchmarkPlan(b *testing.B) {
	for _, models := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("%d_models", models), func(b *testing.B) {
			r := Routes{Backends: []Backend{{Name: "b"}}}
			for i := range models {
				r.Models = append(r.Models, Route{Model: Model(fmt.Sprintf("model-%05d", i)), Steps: []Step{{"b", "m"}}})
			}
			table := r.Table()
			last := r.Models[models-1].Model
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := table.Plan(OpenAIAPI, last); !ok {
					b.Fatal("no plan")
				}
			}
		})
	}
}
