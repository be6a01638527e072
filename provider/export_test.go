package provider

import "ai-gateway/gateway"

// ReadAnswer reads a JSON answer and counts what it does not tell.
func (d OpenAI) ReadAnswer(i *gateway.Intent, p gateway.PromptText, status int, body []byte) gateway.Answer {
	return d.NewAnswer(i, p, status, body).Answer(false)
}
