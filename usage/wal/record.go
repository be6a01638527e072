package wal

import (
	"errors"
	"math"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"

	"ai-gateway/gateway"
)

// The payloads of records are in protobuf's wire format: small, quick to write and to read,
// and older gateways skip fields that they do not know. Numbers are never reused.

const (
	fieldID = 1

	// of an intent
	fieldRequestID    = 2
	fieldStartedAt    = 3 // microseconds since 1970
	fieldKeyID        = 4
	fieldKeyLabel     = 5
	fieldUserID       = 6
	fieldClientIP     = 7
	fieldEndpoint     = 8 // path
	fieldModel        = 9
	fieldStep         = 10 // message: 1 backend, 2 upstream model
	fieldStream       = 11
	fieldPromptTokens = 12
	fieldPrice        = 13 // message: 1 rates, 2 tier, 3 version, 4 service tier: 1 rates, 2 tier, 3 name
	fieldAskedTier    = 14

	// of rates, which are numbered from 1 on
	fieldRateAbove = 6
	fieldRateHour  = 7 // one more than the rate, as 0 is free

	fieldTeam         = 30
	fieldTags         = 31
	fieldStored       = 40
	fieldBackground   = 41
	fieldAnswerTokens = 42
	fieldAsked        = 43 // the id of a stored response

	// of a settlement
	fieldDuration  = 2 // nanoseconds
	fieldTTFT      = 3
	fieldStatus    = 4
	fieldFinished  = 5
	fieldUsage     = 6 // message: 1 prompt, 2 cached, 3 cache write, 4 completion, 5 reasoning, 6 cache write for an hour, 7 server tools
	fieldSource    = 7
	fieldText      = 8
	fieldErrorCode = 9
	fieldPrompt    = 10
	fieldStale     = 11
	fieldUnsent    = 12
	fieldEnvoyGone = 13
	fieldTier      = 14
	fieldComplete  = 15
	fieldFailed    = 16
	fieldMissing   = 17
	fieldPartial   = 18
	fieldStopped   = 30
	fieldResponse  = 40 // message: 1 id, 2 state, 3 usage as above, 4 source, 5 service tier, 6 error code
)

func appendText[T ~string | ~[]byte](b []byte, field protowire.Number, v T) []byte {
	if len(v) == 0 {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(v)))
	return append(b, v...)
}

func appendCount(b []byte, field protowire.Number, n int64) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(n))
}

func appendFlag(b []byte, field protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	return appendCount(b, field, 1)
}

// appendMessage appends what f appends as a nested message. Its length is written in three
// bytes, so it is at most 2 MiB: a price with all its tiers, the largest of them, takes a
// few hundred bytes, and its configuration bounds no tiers.
func appendMessage(b []byte, field protowire.Number, f func([]byte) []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	from := len(b)
	b = f(append(b, 0, 0, 0))
	size := len(b) - from - 3
	b[from], b[from+1], b[from+2] = byte(size)|0x80, byte(size>>7)|0x80, byte(size>>14) // a varint may be longer than it need be
	return b
}

// appendIntent appends the payload of an intent.
func appendIntent(b []byte, i *gateway.Intent) []byte {
	b = appendText(b, fieldID, i.ID[:])
	b = appendText(b, fieldRequestID, i.RequestID)
	b = appendCount(b, fieldStartedAt, i.StartedAt.UnixMicro())
	b = appendText(b, fieldKeyID, i.KeyID)
	b = appendText(b, fieldKeyLabel, i.KeyLabel)
	b = appendText(b, fieldUserID, i.UserID)
	b = appendText(b, fieldClientIP, i.ClientIP)
	b = appendText(b, fieldEndpoint, i.Path())
	b = appendText(b, fieldModel, i.Model)
	for _, step := range i.Steps {
		b = appendMessage(b, fieldStep, func(b []byte) []byte {
			return appendText(appendText(b, 1, step.Backend), 2, step.UpstreamModel)
		})
	}
	b = appendFlag(b, fieldStream, i.Stream)
	b = appendCount(b, fieldPromptTokens, i.PromptTokens)
	if i.Price != nil {
		b = appendMessage(b, fieldPrice, func(b []byte) []byte { return appendPrice(b, i.Price) })
	}
	b = appendText(b, fieldAskedTier, i.ServiceTier)
	b = appendText(b, fieldTeam, i.Team)
	b = appendText(b, fieldTags, i.Tags)
	b = appendFlag(b, fieldStored, i.Stored)
	b = appendFlag(b, fieldBackground, i.Background)
	b = appendCount(b, fieldAnswerTokens, i.AnswerTokens)
	return appendText(b, fieldAsked, i.Response)
}

func appendPrice(b []byte, p *gateway.Price) []byte {
	b = appendTiered(b, &p.Rates, p.Tiers)
	b = appendText(b, 3, p.Version)
	for _, s := range p.ServiceTiers {
		b = appendMessage(b, 4, func(b []byte) []byte { return appendText(appendTiered(b, &s.Rates, s.Tiers), 3, s.Name) })
	}
	return b
}

// appendTiered appends rates and those of long requests.
func appendTiered(b []byte, r *gateway.Rates, tiers []gateway.Tier) []byte {
	b = appendMessage(b, 1, func(b []byte) []byte { return appendRates(b, r) })
	for _, tier := range tiers {
		b = appendMessage(b, 2, func(b []byte) []byte { return appendRates(appendCount(b, fieldRateAbove, tier.Above), &tier.Rates) })
	}
	return b
}

func appendRates(b []byte, r *gateway.Rates) []byte {
	for n, rate := range [...]gateway.Money{r.Input, r.CachedInput, r.CacheWrite, r.Output, r.Reasoning} {
		b = appendCount(b, protowire.Number(n+1), int64(rate))
	}
	return appendCount(b, fieldRateHour, int64(r.CacheWriteHour)+1)
}

// appendSettlement appends the payload of a settlement.
func appendSettlement(b []byte, s *gateway.Settlement) []byte {
	b = appendText(b, fieldID, s.ID[:])
	b = appendCount(b, fieldDuration, int64(s.Duration))
	b = appendCount(b, fieldTTFT, int64(s.TTFT))
	b = appendCount(b, fieldStatus, int64(s.Status))
	b = appendFlag(b, fieldFinished, s.Finished)
	b = appendMessage(b, fieldUsage, func(b []byte) []byte { return appendUsage(b, &s.Answer.Usage) })
	b = appendCount(b, fieldSource, int64(s.Answer.Source))
	b = appendText(b, fieldText, s.Answer.Text)
	b = appendText(b, fieldErrorCode, s.Answer.ErrorCode)
	b = appendText(b, fieldPrompt, s.Prompt)
	b = appendFlag(b, fieldStale, s.Answer.Stale)
	b = appendFlag(b, fieldUnsent, s.Unsent)
	b = appendFlag(b, fieldEnvoyGone, s.EnvoyGone)
	b = appendText(b, fieldTier, s.Answer.ServiceTier)
	b = appendFlag(b, fieldComplete, s.Answer.Complete)
	b = appendFlag(b, fieldFailed, s.Answer.Failed)
	b = appendFlag(b, fieldMissing, s.Answer.Missing)
	b = appendFlag(b, fieldPartial, s.Answer.Partial)
	b = appendFlag(b, fieldStopped, s.Stopped)
	if w := &s.Answer.Response; w.ID != "" {
		b = appendMessage(b, fieldResponse, func(b []byte) []byte { return appendResponse(b, w) })
	}
	return b
}

func appendUsage(b []byte, u *gateway.Usage) []byte {
	for n, count := range [...]int64{u.Prompt, u.Cached, u.CacheWrite, u.Completion, u.Reasoning, u.CacheWriteHour, u.ServerTools} {
		b = appendCount(b, protowire.Number(n+1), count)
	}
	return b
}

func appendResponse(b []byte, w *gateway.ResponseWord) []byte {
	b = appendCount(appendText(b, 1, w.ID), 2, int64(w.State))
	b = appendMessage(b, 3, func(b []byte) []byte { return appendUsage(b, &w.Usage) })
	b = appendCount(b, 4, int64(w.Source))
	return appendText(appendText(b, 5, w.ServiceTier), 6, w.ErrorCode)
}

var errRecord = errors.New("a record of the write-ahead log is malformed")

// each calls f for every field of a message: v is the value of a length-delimited field, n
// that of a varint. Other types are skipped.
func each(b []byte, f func(field protowire.Number, v []byte, n int64) error) error {
	for len(b) > 0 {
		field, typ, size := protowire.ConsumeTag(b)
		if size < 0 {
			return errRecord
		}
		b = b[size:]
		var v []byte
		var n uint64
		switch typ {
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(b)
		default:
			size = protowire.ConsumeFieldValue(field, typ, b)
		}
		if size < 0 {
			return errRecord
		}
		b = b[size:]
		if err := f(field, v, int64(n)); err != nil {
			return err
		}
	}
	return nil
}

// Intent reads the payload of an intent or an orphan.
func (r Record) Intent() (*gateway.Intent, error) { return readIntent(r.payload) }

// Settlement reads the payload of a settlement.
func (r Record) Settlement() (*gateway.Settlement, error) { return readSettlement(r.payload) }

func readIntent(b []byte) (*gateway.Intent, error) {
	i := &gateway.Intent{}
	err := each(b, func(field protowire.Number, v []byte, n int64) error {
		switch field {
		case fieldID:
			return readID(&i.ID, v)
		case fieldRequestID:
			i.RequestID = string(v)
		case fieldStartedAt:
			i.StartedAt = time.UnixMicro(n).UTC()
		case fieldKeyID:
			i.KeyID = gateway.KeyID(v)
		case fieldKeyLabel:
			i.KeyLabel = string(v)
		case fieldUserID:
			i.UserID = string(v)
		case fieldClientIP:
			i.ClientIP = string(v)
		case fieldTeam:
			i.Team = string(v)
		case fieldTags:
			i.Tags = string(v)
		case fieldStored:
			i.Stored = n != 0
		case fieldBackground:
			i.Background = n != 0
		case fieldAnswerTokens:
			i.AnswerTokens = n
		case fieldAsked:
			i.Response = string(v)
		case fieldEndpoint:
			i.Endpoint, i.Passed = gateway.EndpointAt(string(v))
		case fieldModel:
			i.Model = gateway.Model(v)
		case fieldStep:
			return readStep(i, v)
		case fieldStream:
			i.Stream = n != 0
		case fieldPromptTokens:
			i.PromptTokens = n
		case fieldAskedTier:
			i.ServiceTier = string(v)
		case fieldPrice:
			i.Price = &gateway.Price{}
			return readPrice(i.Price, v)
		}
		return nil
	})
	if err == nil && (i.ID == uuid.UUID{} || i.StartedAt.IsZero() || i.Endpoint == 0 || len(i.Steps) == 0) {
		err = errRecord
	}
	return i, err
}

func readID(id *uuid.UUID, v []byte) (err error) {
	*id, err = uuid.FromBytes(v)
	return err
}

func readStep(i *gateway.Intent, b []byte) error {
	var step gateway.Step
	err := each(b, func(field protowire.Number, v []byte, _ int64) error {
		switch field {
		case 1:
			step.Backend = string(v)
		case 2:
			step.UpstreamModel = gateway.Model(v)
		}
		return nil
	})
	i.Steps = append(i.Steps, step)
	return err
}

func readPrice(p *gateway.Price, b []byte) error {
	return each(b, func(field protowire.Number, v []byte, _ int64) error {
		switch field {
		case 3:
			p.Version = string(v)
		case 4:
			var s gateway.ServicePrice
			err := readServicePrice(&s, v)
			p.ServiceTiers = append(p.ServiceTiers, s)
			return err
		}
		return readTiered(field, &p.Rates, &p.Tiers, v)
	})
}

func readServicePrice(s *gateway.ServicePrice, b []byte) error {
	return each(b, func(field protowire.Number, v []byte, _ int64) error {
		if field == 3 {
			s.Name = string(v)
			return nil
		}
		return readTiered(field, &s.Rates, &s.Tiers, v)
	})
}

// readTiered reads a field of rates, or of the rates of long requests.
func readTiered(field protowire.Number, r *gateway.Rates, tiers *[]gateway.Tier, v []byte) error {
	switch field {
	case 1:
		return readRates(&gateway.Tier{}, r, v)
	case 2:
		*tiers = append(*tiers, gateway.Tier{})
		tier := &(*tiers)[len(*tiers)-1]
		return readRates(tier, &tier.Rates, v)
	}
	return nil
}

func readRates(tier *gateway.Tier, r *gateway.Rates, b []byte) error {
	rates := [...]*gateway.Money{&r.Input, &r.CachedInput, &r.CacheWrite, &r.Output, &r.Reasoning}
	hour := false
	err := each(b, func(field protowire.Number, _ []byte, n int64) error {
		switch {
		case field == fieldRateAbove:
			tier.Above = n
		case field == fieldRateHour:
			r.CacheWriteHour, hour = gateway.Money(n-1), true
		case int(field) <= len(rates):
			*rates[field-1] = gateway.Money(n)
		}
		return nil
	})
	if !hour { // an older gateway knew one price of all that is written
		r.CacheWriteHour = r.CacheWrite
	}
	return err
}

func readSettlement(b []byte) (*gateway.Settlement, error) {
	s := &gateway.Settlement{}
	err := each(b, func(field protowire.Number, v []byte, n int64) error {
		switch field {
		case fieldID:
			return readID(&s.ID, v)
		case fieldDuration:
			s.Duration = time.Duration(n)
		case fieldTTFT:
			s.TTFT = time.Duration(n)
		case fieldStatus:
			s.Status = int(n)
		case fieldFinished:
			s.Finished = n != 0
		case fieldUsage:
			return readUsage(&s.Answer.Usage, v)
		case fieldSource:
			s.Answer.Source = gateway.Source(min(uint64(n), math.MaxUint8))
		case fieldText:
			s.Answer.Text = string(v)
		case fieldErrorCode:
			s.Answer.ErrorCode = string(v)
		case fieldPrompt:
			s.Prompt = string(v)
		case fieldStale:
			s.Answer.Stale = n != 0
		case fieldUnsent:
			s.Unsent = n != 0
		case fieldStopped:
			s.Stopped = n != 0
		case fieldEnvoyGone:
			s.EnvoyGone = n != 0
		case fieldTier:
			s.Answer.ServiceTier = string(v)
		case fieldComplete:
			s.Answer.Complete = n != 0
		case fieldFailed:
			s.Answer.Failed = n != 0
		case fieldMissing:
			s.Answer.Missing = n != 0
		case fieldPartial:
			s.Answer.Partial = n != 0
		case fieldResponse:
			return readResponse(&s.Answer.Response, v)
		}
		return nil
	})
	if err == nil && s.ID == (uuid.UUID{}) {
		err = errRecord
	}
	return s, err
}

func readResponse(w *gateway.ResponseWord, b []byte) error {
	return each(b, func(field protowire.Number, v []byte, n int64) error {
		switch field {
		case 1:
			w.ID = string(v)
		case 2:
			w.State = gateway.ResponseState(min(uint64(n), math.MaxUint8))
		case 3:
			return readUsage(&w.Usage, v)
		case 4:
			w.Source = gateway.Source(min(uint64(n), math.MaxUint8))
		case 5:
			w.ServiceTier = string(v)
		case 6:
			w.ErrorCode = string(v)
		}
		return nil
	})
}

func readUsage(u *gateway.Usage, b []byte) error {
	counts := [...]*int64{&u.Prompt, &u.Cached, &u.CacheWrite, &u.Completion, &u.Reasoning, &u.CacheWriteHour, &u.ServerTools}
	return each(b, func(field protowire.Number, _ []byte, n int64) error {
		if int(field) <= len(counts) {
			*counts[field-1] = n
		}
		return nil
	})
}
