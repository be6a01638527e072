package test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"ai-gateway/test/fakeprovider"
)

func TestNoStreamIsHeldWhateverItsTypeSays(t *testing.T) {
	fake, base := provider(t)
	p := start(t, upstreamOf(base)...)
	const pause = 3 * time.Second
	for _, header := range []string{"content-type: text/event-stream", "content-type: application/json", "content-type: Application/JSON;charset=utf-8",
		"content-type: text/plain", "content-type: application/octet-stream", "x-none: x"} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			fake.Play(header, fakeprovider.Scenario{Replies: []fakeprovider.Reply{reply(t, "200\n"+header+"\n\n"+
				"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n«wait 3s»data: [DONE]\n\n")}})
			begun := time.Now()
			response, err := http.Post("http://"+p.address+chatPath, "application/json", strings.NewReader(chatBody(header, true)))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if _, err := response.Body.Read(make([]byte, 10)); err != nil || time.Since(begun) > pause/2 {
				t.Errorf("the first bytes came after %s, %v", time.Since(begun), err)
			}
		})
	}
}
