package auth

import (
	"math/big"
	"strings"
	"testing"

	"ai-gateway/gateway"
)

func TestATokenIsItsPrefixRandomDigitsAndAChecksum(t *testing.T) {
	seen := map[token]bool{}
	for range 1000 {
		made := newToken()
		if got, ok := parseToken(string(made)); !ok || got != made {
			t.Fatalf("a new token is read as %q, %v", string(got), ok)
		}
		if seen[made] {
			t.Fatal("a token came twice")
		}
		seen[made] = true
		if len(made) != 53 || !strings.HasPrefix(string(made), made.prefix()) || len(made.prefix()) != 10 {
			t.Fatalf("token %q, prefix %q", string(made), made.prefix())
		}
	}
}

func TestBase62SaysTheWholeNumber(t *testing.T) {
	number := []byte{0xff, 0xee, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7}
	back := new(big.Int)
	for _, digit := range base62(number, randomDigits) {
		back.Mul(back, big.NewInt(62)).Add(back, big.NewInt(int64(strings.IndexRune(digits, digit))))
	}
	if want := new(big.Int).SetBytes(number); back.Cmp(want) != 0 {
		t.Errorf("%x is written as %x", want, back)
	}
}

func TestEveryTypingErrorIsFoundByTheChecksum(t *testing.T) {
	right := string(newToken())
	for at := len(gateway.GatewayKeyPrefix); at < len(right); at++ {
		for _, other := range digits {
			wrong := right[:at] + string(other) + right[at+1:]
			if _, ok := parseToken(wrong); ok && wrong != right {
				t.Errorf("%q passes for %q", wrong, right)
			}
		}
	}
	for _, wrong := range []string{"", "agw_", right[:52], right + "0", "AGW_" + right[4:], right[:20] + "-" + right[21:], right[:20] + "é" + right[22:]} {
		if _, ok := parseToken(wrong); ok {
			t.Errorf("%q passes", wrong)
		}
	}
}

func FuzzWhatIsReadAsATokenIsOne(f *testing.F) {
	f.Add(string(newToken()))
	f.Add("agw_")
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseToken(text)
		sum := ""
		if len(text) == tokenLength {
			of := checksum(text[:tokenLength-checksumDigits])
			sum = string(of[:])
		}
		if ok != (len(text) == tokenLength && strings.HasPrefix(text, "agw_") && strings.Trim(text[4:], digits) == "" && strings.HasSuffix(text, sum)) {
			t.Errorf("%q is read as %q, %v", text, string(got), ok)
		}
	})
}
