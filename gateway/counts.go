package gateway

// NotReported is a count that a provider did not give.
const NotReported int64 = -1

// Figures are the counts of one usage object as a provider gave them, before they are made
// a Usage. What is no count from 0 to MaxTokens is NotReported, so one bad count costs itself alone.
type Figures struct {
	Prompt, Completion, Total     int64
	Cached, CacheWrite, Reasoning int64 // details: parts of a whole, or in addition to it

	CacheWriteHour int64 // part of CacheWrite
	ServerTools    int64 // calls of tools that the provider ran itself
}

// NoFigures returns figures of which none was reported.
func NoFigures() Figures {
	return Figures{Prompt: NotReported, Completion: NotReported, Total: NotReported, Cached: NotReported, CacheWrite: NotReported, Reasoning: NotReported,
		CacheWriteHour: NotReported, ServerTools: NotReported}
}

// Of returns the figures as an endpoint means them. Where two of prompt, completion and total
// are told, so is the third. The prompt of embeddings is their total. A prompt of messages is told
// without what a cache gave and took. It reports whether they can
// be believed: a prompt without tokens comes from servers that do not count.
func (f Figures) Of(e Endpoint) (of Figures, believed bool) {
	switch {
	case e.API() == AnthropicAPI:
		if f.Prompt != NotReported {
			f.Prompt += max(f.Cached, 0) + max(f.CacheWrite, 0)
		}
		f.Total = NotReported
	case e == Passed:
		return f.passed()
	case e == Embeddings:
		if f.Prompt <= 0 {
			f.Prompt = f.Total
		}
		f.Completion, f.Reasoning, f.Total = 0, NotReported, NotReported
	case f.Prompt == NotReported && f.Completion != NotReported && f.Total > f.Completion:
		f.Prompt = f.Total - f.Completion
	case f.Completion == NotReported && f.Prompt > 0 && f.Total > f.Prompt:
		f.Completion = f.Total - f.Prompt
	}
	return f, f.Prompt > 0 && f.Completion != NotReported
}

// Over returns the figures with the details that only an earlier usage object of the same
// answer told. A total belongs to its own prompt and completion.
func (f Figures) Over(earlier Figures) Figures {
	or := func(now *int64, before int64) {
		if *now == NotReported {
			*now = before
		}
	}
	or(&f.Cached, earlier.Cached)
	or(&f.CacheWrite, earlier.CacheWrite)
	or(&f.Reasoning, earlier.Reasoning)
	or(&f.CacheWriteHour, earlier.CacheWriteHour)
	or(&f.ServerTools, earlier.ServerTools)
	if f.Prompt == earlier.Prompt && f.Completion == earlier.Completion {
		or(&f.Total, earlier.Total)
	}
	return f
}

// Grown returns the figures of a message so far, of which a later usage object has told more:
// its counts are of all until then, and none of them gets smaller.
// Source: https://docs.anthropic.com/en/docs/build-with-claude/streaming
func (f Figures) Grown(later Figures) Figures {
	return Figures{
		Prompt: max(f.Prompt, later.Prompt), Completion: max(f.Completion, later.Completion), Total: NotReported,
		Cached: max(f.Cached, later.Cached), CacheWrite: max(f.CacheWrite, later.CacheWrite), Reasoning: max(f.Reasoning, later.Reasoning),
		CacheWriteHour: max(f.CacheWriteHour, later.CacheWriteHour), ServerTools: max(f.ServerTools, later.ServerTools),
	}
}

// Plus returns the sum of the figures of two parts of an answer.
func (f Figures) Plus(g Figures) Figures {
	sum := func(a, b int64) int64 {
		if a == NotReported || b == NotReported {
			return max(a, b)
		}
		return min(a+b, MaxTokens)
	}
	return Figures{
		Prompt: sum(f.Prompt, g.Prompt), Completion: sum(f.Completion, g.Completion), Total: NotReported,
		Cached: sum(f.Cached, g.Cached), CacheWrite: sum(f.CacheWrite, g.CacheWrite), Reasoning: sum(f.Reasoning, g.Reasoning),
		CacheWriteHour: sum(f.CacheWriteHour, g.CacheWriteHour), ServerTools: sum(f.ServerTools, g.ServerTools),
	}
}

// Usage returns what is billed. Tokens that only the total shows are reasoning, unless they are
// as many as the details that a provider counts beside prompt and completion: xAI its reasoning,
// Anthropic what its cache reads and writes. A detail that is larger than its whole is dropped.
// Sources: https://docs.x.ai/docs/key-information/consumption-and-rate-limits,
// https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching#tracking-cache-performance
func (f Figures) Usage() Usage {
	u := Usage{Prompt: max(f.Prompt, 0), Cached: max(f.Cached, 0), CacheWrite: max(f.CacheWrite, 0), Completion: max(f.Completion, 0),
		Reasoning: max(f.Reasoning, 0), CacheWriteHour: max(f.CacheWriteHour, 0), ServerTools: max(f.ServerTools, 0)}
	cache := u.Cached + u.CacheWrite
	switch rest := f.Total - u.Prompt - u.Completion; {
	case f.Total == NotReported || rest <= 0:
	case rest == u.Reasoning:
		u.Completion += rest
	case rest == cache:
		u.Prompt += rest
	case rest == cache+u.Reasoning:
		u.Prompt, u.Completion = u.Prompt+cache, u.Completion+u.Reasoning
	default:
		u.Completion += rest
		if f.Reasoning == NotReported {
			u.Reasoning = rest
		}
	}
	return u.withoutExcess()
}

// withoutExcess is the usage without parts that are larger than their whole.
func (u Usage) withoutExcess() Usage {
	if u.Cached > u.Prompt {
		u.Cached = 0
	}
	if u.CacheWrite > u.Prompt-u.Cached {
		u.CacheWrite = 0
	}
	if u.CacheWriteHour > u.CacheWrite {
		u.CacheWriteHour = 0
	}
	if u.Reasoning > u.Completion {
		u.Reasoning = 0
	}
	return u
}
