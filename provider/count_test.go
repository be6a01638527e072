package provider

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"ai-gateway/gateway"
)

// The figures are those of OpenAI's own tiktoken 0.14.0. The library's versions 0.8.1
// to 0.10.0 split white space otherwise, in time that grows with its square.
func TestATextHasTheTokensThatOpenAICounts(t *testing.T) {
	for _, row := range []struct {
		text          string
		o200k, cl100k int64
	}{
		{"", 0, 0},
		{"tiktoken is great!", 6, 6},
		{"antidisestablishmentarianism", 6, 6},
		{"2 + 2 = 4", 7, 7},
		{"お誕生日おめでとう", 8, 9},
		{"supercalifragilistic", 6, 7},
		{"We know what we are, but know not what we may be.", 14, 14},
		{"Hello! How can I assist you today?", 9, 9},
		{"It's ALL they'd've said: DON'T, I'll go.", 11, 15},
		{"網關在轉發請求之前需要估算輸入的權杖數量,以便檢查餘額。", 29, 46},
		{"네트워크 게이트웨이", 7, 12},
		{"Привет, как дела?", 6, 8},
		{"مرحبا بالعالم", 4, 10},
		{"สวัสดีชาวโลก", 7, 13},
		{"नमस्ते दुनिया", 5, 13},
		{"👩‍👩‍👧 and 😀😀😀", 12, 19},
		{"3.14159265358979323846", 9, 9},
		{`{"location":"San Francisco, CA","unit":"celsius"}`, 13, 13},
		{"func main() {\n\tfmt.Println(\"hi\")\n}\n", 10, 10},
		{"a\n \n b\n\t\n\tc", 5, 5},
		{" \n \n \n \n", 2, 2},
		{"trailing   \r\n\r\n  spaces  ", 7, 7},
		{"https://example.com/a/b?c=d&e=f#g", 12, 12},
		{"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk", 29, 30},
		{"<|endoftext|>", 7, 7},
		{"e\u0301\u00a0\u3000\ufeff", 5, 5},
	} {
		if a, b := o200k.count(row.text), cl100k.count(row.text); a != row.o200k || b != row.cl100k {
			t.Errorf("%q has %d and %d tokens, want %d and %d", row.text, a, b, row.o200k, row.cl100k)
		}
	}
}

func TestEachOfSeveralTextsIsCountedForItself(t *testing.T) {
	for texts, want := range map[string]int64{"ab\xFFcd": 2, "abcd": 1, "ab\xFFcd\xFF\xFF": 2, "\xFF": 0} {
		if got := o200k.count(texts); got != want {
			t.Errorf("%q: %d tokens, want %d", texts, got, want)
		}
	}
}

func TestAModelsEncodingIsKnownByItsName(t *testing.T) {
	for name, want := range map[gateway.Model]encoding{
		"gpt-4o": o200k, "gpt-4o-mini-2024-07-18": o200k, "chatgpt-4o-latest": o200k, "gpt-4.1-nano": o200k, "gpt-5": o200k, "gpt-5-mini": o200k,
		"gpt-5.1-codex": o200k, "o1": o200k, "o3-mini-2025-01-31": o200k, "o4-mini": o200k, "gpt-oss:20b": o200k, "openai/gpt-oss-120b": o200k,
		"ft:gpt-4o-2024-08-06:acme::7p4lURel": o200k, "ft:gpt-4o:acme::x": o200k, "openai/gpt-4o": o200k,
		"gpt-4": cl100k, "gpt-4-0613": cl100k, "gpt-4-turbo": cl100k, "gpt-4-32k": cl100k, "gpt-3.5-turbo": cl100k, "gpt-3.5-turbo-0125": cl100k,
		"gpt-35-turbo": cl100k, "gpt-35-turbo-16k": cl100k, "ft:gpt-3.5-turbo-0125:acme::x": cl100k, "ft:gpt-4-0613:acme::x": cl100k,
		"text-embedding-3-small": cl100k, "text-embedding-ada-002": cl100k, "davinci-002": cl100k,
	} {
		if got, known := knownEncoding(name); !known || got != want {
			t.Errorf("%s: %d, known %v, want %d", name, got, known, want)
		}
	}
	for _, name := range []gateway.Model{"", "m", "gpt-6", "gpt-4.7", "gpt-40", "gpt-50", "o11", "llama3:8b", "claude-sonnet-4-5", "gemini-2.5-pro", "my-gpt-4o",
		"ft:llama", "gpt", "text-embedding-3", "GPT-4o"} {
		if got, known := knownEncoding(name); known || got != o200k {
			t.Errorf("%q: %d, known %v", name, got, known)
		}
	}
}

func TestACountIsCertainOnlyIfEveryStepCountsAlike(t *testing.T) {
	for _, row := range []struct {
		model   gateway.Model
		steps   []gateway.Model
		want    encoding
		certain bool
	}{
		{"fast", []gateway.Model{"gpt-4o"}, o200k, true},
		{"fast", []gateway.Model{"gpt-4o", "gpt-5"}, o200k, true},
		{"fast", []gateway.Model{"gpt-4", "gpt-4o"}, cl100k, false},
		{"fast", []gateway.Model{"gpt-4", "llama3:8b"}, cl100k, false},
		{"gpt-4", []gateway.Model{"a-deployment"}, cl100k, false},
		{"gpt-4o", []gateway.Model{"llama3:8b"}, o200k, false},
		{"llama3:8b", []gateway.Model{"llama3:8b"}, o200k, false},
	} {
		i := gateway.Intent{Model: row.model}
		for _, m := range row.steps {
			i.Steps = append(i.Steps, gateway.Step{UpstreamModel: m})
		}
		if got, certain := encodingOf(&i); got != row.want || certain != row.certain {
			t.Errorf("%s by %v: %d, certain %v", row.model, row.steps, got, certain)
		}
	}
}

// characters are of every kind that an encoding tells from others.
var characters = strings.Split(" |\n|\r|\t|a|b|A|B|z|'|s|S|t|re|1|2|³|٣|é|É|ǅ|ʰ|中|文|あ|ー|😀|👩‍👩‍👧|\u0301|\u200d|\u00a0|\u2003|\u3000|\u0085|\u2028|\u001c|"+
	"\ufeff|ſ|K|.|,|/|//|-|=|{|}|\"|\\n|़|ि|ไ|ท|ة|ע|𐐀|𐐨|\U0010ffff|\u0000|ß|İ|ı|'ſ|'ll|’s|the|ing| of|()|`", "|")

// textOf is made of characters that are picked by bytes.
func textOf(picks []byte) string {
	var b strings.Builder
	for _, pick := range picks {
		b.WriteString(characters[int(pick)%len(characters)])
	}
	return b.String()
}

// FuzzATextIsSplitWhereBothEncodingsSplitIt holds cut to what it promises.
func FuzzATextIsSplitWhereBothEncodingsSplitIt(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		picks := make([]byte, 2+r.IntN(14))
		for i := range picks {
			picks[i] = byte(r.Uint32())
		}
		f.Add(picks)
	}
	f.Fuzz(func(t *testing.T, picks []byte) {
		text := textOf(picks[:min(len(picks), 40)])
		for at := range text {
			before, _ := utf8.DecodeLastRuneInString(text[:at])
			after, _ := utf8.DecodeRuneInString(text[at:])
			if at == 0 || !splits(before, after) {
				continue
			}
			for e := range codecs {
				e := encoding(e)
				if whole, parts := e.countPiece(text), e.countPiece(text[:at])+e.countPiece(text[at:]); whole != parts {
					t.Fatalf("%q + %q: %d tokens, whole %d", text[:at], text[at:], parts, whole)
				}
			}
		}
	})
}

// samplesOf are texts of a size that have nothing in common.
func samplesOf(size int) map[string]string {
	r := rand.New(rand.NewPCG(3, 4))
	letters := func(alphabet string) string {
		characters := []rune(alphabet)
		var b strings.Builder
		for b.Len() < size {
			b.WriteRune(characters[r.IntN(len(characters))])
		}
		return b.String()
	}
	repeated := func(s string) string { return strings.Repeat(s, size/len(s)) }
	const base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	return map[string]string{
		"one letter": repeated("a"), "blanks": repeated(" "), "lines": repeated("\n"), "blank lines": repeated(" \n"), "smiles": repeated("😀"),
		"digits": letters(base64[52:62]), "base64": letters(base64), "hex": letters("0123456789abcdef"), "camel case": repeated("aBcDe"),
		"Chinese": letters("的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都然没日于起还发成事只作当"),
		"prose":   repeated("The quick brown fox jumps over the lazy dog. It's all work and no play, isn't it? "),
		"JSON":    repeated(`{"id":12345,"name":"O'Neil","tags":["a","b"],"ok":true},`),
		"code":    repeated("func (c *cursor) kind() byte {\n\tfor ; c.pos < len(c.data); c.pos++ {\n\t\tif c.data[c.pos] != ' ' {\n\t\t\tbreak\n\t\t}\n\t}\n}\n\n"),
	}
}

func TestCountingInPiecesIsAtMostHalfAPercentOff(t *testing.T) {
	for name, text := range samplesOf(4 * maxPiece) {
		for e := range codecs {
			e := encoding(e)
			got, whole := e.count(text), e.countPiece(text)
			if off := max(got-whole, whole-got); off*200 > whole {
				t.Errorf("%s: %d tokens in pieces, %d whole", name, got, whole)
			}
		}
	}
}

func TestALongTextIsReckonedFromASampleOfIt(t *testing.T) {
	samples := samplesOf(64 << 10)
	var b strings.Builder
	for b.Len() < 2*maxCounted {
		b.WriteString(samples["prose"])
		b.WriteString(samples["code"][:24<<10])
	}
	text := b.String()
	var whole int64
	for rest := text; rest != ""; {
		piece, size := nextPiece(rest, maxPiece)
		whole += o200k.countPiece(piece)
		rest = rest[size:]
	}
	got := o200k.count(text)
	if off := max(got-whole, whole-got); off*100 > whole {
		t.Errorf("%d tokens, whole %d", got, whole)
	}
	if kept := len(sample(text)); kept > maxCounted {
		t.Errorf("%d bytes of %d are counted", kept, len(text))
	}
}

// TestNoTextIsMuchWork holds counting to what its time grows with: the bytes that are
// counted, and the square of the length of a piece that the encodings cannot split.
func TestNoTextIsMuchWork(t *testing.T) {
	const size = 5 << 20
	texts := samplesOf(size)
	texts["many texts"] = strings.Repeat("a"+textEnd, size/2)
	for name, text := range texts {
		counted := sample(text)
		if len(counted) > maxCounted {
			t.Errorf("%s: %d bytes are counted, want at most %d", name, len(counted), maxCounted)
		}
		for rest := counted; rest != ""; {
			piece, taken := nextPiece(rest, maxPiece)
			if len(piece) > maxPiece || taken < 1 {
				t.Fatalf("%s: a piece of %d bytes, of which %d are taken", name, len(piece), taken)
			}
			rest = rest[taken:]
		}
	}
}

func TestManyMayCountWhileAVocabularyIsBeingLoaded(t *testing.T) {
	var wg sync.WaitGroup
	for n := range 32 {
		wg.Go(func() {
			text := fmt.Sprint("tiktoken is great! ", n)
			if a, b := o200k.count(text), cl100k.count(text); a < 7 || a != b {
				t.Errorf("%q: %d and %d tokens", text, a, b)
			}
		})
	}
	wg.Wait()
}

func FuzzCountingNeverPanicsAndIsBounded(f *testing.F) {
	for _, text := range []string{"a", " \n \n", "\xFF\xFF", "\xc3", "😀\xF0\x9F", "it's", strings.Repeat("aB1 '", 300), strings.Repeat("\xF0\x9F", 900)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for e := range codecs {
			// What is no UTF-8 becomes a character of up to three tokens.
			if n := encoding(e).count(text); n < 0 || n > 3*int64(len(text)) {
				t.Fatalf("%q: %d tokens", text, n)
			}
		}
		for rest := text; rest != ""; {
			piece, size := nextPiece(rest, 7)
			if size < 1 || size > len(rest) || len(piece) > 7 || !strings.HasPrefix(rest, piece) {
				t.Fatalf("%q: %q, %d bytes", rest, piece, size)
			}
			rest = rest[size:]
		}
	})
}

func BenchmarkCount(b *testing.B) {
	for name, text := range samplesOf(5 << 20) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				o200k.count(text)
			}
		})
	}
}
