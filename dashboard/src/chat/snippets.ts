/** How a client is set up for the gateway. */
export interface Snippet {
  name: string;
  where: string;
  text: string;
}

export function snippets(base: string, model: string): Snippet[] {
  return [
    {
      name: "curl",
      where: "In a shell:",
      text: `curl -N ${base}/chat/completions \\
  -H "Authorization: Bearer $AI_GATEWAY_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "${model}", "stream": true, "messages": [{"role": "user", "content": "Hello!"}]}'`,
    },
    {
      name: "Python",
      where: "With pip install openai:",
      text: `import os
from openai import OpenAI

client = OpenAI(base_url="${base}", api_key=os.environ["AI_GATEWAY_KEY"])
answer = client.chat.completions.create(
    model="${model}", messages=[{"role": "user", "content": "Hello!"}]
)
print(answer.choices[0].message.content)`,
    },
    {
      name: "TypeScript",
      where: "With npm install openai:",
      text: `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${base}", apiKey: process.env.AI_GATEWAY_KEY });
const answer = await client.chat.completions.create({
  model: "${model}",
  messages: [{ role: "user", content: "Hello!" }],
});
console.log(answer.choices[0].message.content);`,
    },
    {
      name: "Claude Code",
      where: "In a shell, or below env in ~/.claude/settings.json:",
      text: `export ANTHROPIC_BASE_URL="${base.replace(/\/v1$/, "")}"
export ANTHROPIC_AUTH_TOKEN="$AI_GATEWAY_KEY"
claude`,
    },
    {
      name: "Codex",
      where: "In ~/.codex/config.toml, with the key in the variable AI_GATEWAY_KEY:",
      text: `model = "${model}"
model_provider = "gateway"

[model_providers.gateway]
name = "AI Gateway"
base_url = "${base}"
env_key = "AI_GATEWAY_KEY"
wire_api = "responses"`,
    },
    {
      name: "LangChain",
      where: "With pip install langchain-openai:",
      text: `import os
from langchain_openai import ChatOpenAI

model = ChatOpenAI(
    model="${model}", base_url="${base}", api_key=os.environ["AI_GATEWAY_KEY"]
)
print(model.invoke("Hello!").content)`,
    },
    {
      name: "Continue",
      where: "In ~/.continue/config.yaml:",
      text: `name: AI Gateway
version: 0.0.1
schema: v1
models:
  - name: ${model}
    provider: openai
    model: ${model}
    apiBase: ${base}
    apiKey: \${{ secrets.AI_GATEWAY_KEY }}`,
    },
    {
      name: "Cline",
      where: "In the settings of the extension:",
      text: `API Provider:  OpenAI Compatible
Base URL:      ${base}
API Key:       the gateway's key
Model ID:      ${model}`,
    },
  ];
}
