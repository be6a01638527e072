package budgets

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

func TestAWebhookIsToldOfAThresholdUntilItTakesIt(t *testing.T) {
	const secret = "whsec-0123456789abcdef"
	var calls atomic.Int64
	taken := make(chan string, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if calls.Add(1) == 1 {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			return
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(r.Header.Get("Webhook-Id") + "." + r.Header.Get("Webhook-Timestamp") + "." + string(body)))
		if r.Header.Get("Webhook-Signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) || r.URL.Path != "/hook" {
			t.Errorf("%s is signed with %v", r.URL, r.Header)
		}
		taken <- string(body)
	}))
	defer hook.Close()
	c := userBudget(10*cent, gateway.BudgetMonth)
	c.Webhook = gateway.Webhook{URL: hook.URL + "/hook", Secret: secret}
	g := begin(t, openStore(t), uuid.New(), c)
	g.write(t, g.passed(t, 1, 8*cent)[0], 8*cent)
	select {
	case body := <-taken:
		if !strings.Contains(body, `"by":"user","name":"ada","per":"month"`) || !strings.Contains(body, `"threshold_percent":80,"budget_usd":0.1,"spent_usd":0.08}`) {
			t.Errorf("it is told %s", body)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("it was not told within 30 s, after %d calls", calls.Load())
	}
}
