import { execFileSync } from "node:child_process";
import type { Gateway } from "./gateway";
import { words, type Scenario } from "./scenarios";

const bucket = `A **fixed window** counts requests in each minute and forgets at its end, so twice the limit fits around a border. A **token bucket** refills steadily:

| | Fixed window | Token bucket |
|---|---|---|
| Burst at the border | up to 2 × limit | at most the bucket |
| State for each key | counter, window | tokens, time |
| Waiting time | to the window's end | $t = \\frac{n - \\text{tokens}}{\\text{rate}}$ |

\`\`\`go
func (b *Bucket) Allow(n float64, now time.Time) bool {
	b.tokens = min(b.size, b.tokens+b.rate*now.Sub(b.last).Seconds())
	b.last = now
	if b.tokens < n {
		return false
	}
	b.tokens -= n
	return true
}
\`\`\`

Use the fixed window where a clear reset time matters more than smoothness.`;

const log = `1. **Recovery.** What was promised before a crash is read back and done.
2. **Batching.** Many small writes become one large one, in order.
3. **Replication.** A follower applies the same log and has the same state.`;

const shortLog = `- Crash recovery: replay what was not applied.
- Turning random writes into sequential ones.
- Feeding replicas and change streams.`;

const answers: Record<string, string> = { "gpt-4o-mini": bucket, "gpt-4.1-mini": shortLog, "gpt-4o": log };

/** Models that answer like real ones. */
export const conversationScenarios: readonly Scenario[] = [
  { model: "gpt-4o-mini", pieces: words(bucket, 4), usage: { prompt: 24, completion: 231 } },
  { model: "gpt-4.1-mini", pieces: words(shortLog, 8), usage: { prompt: 18, completion: 34 } },
  { model: "gpt-4o", pieces: words(log, 10), usage: { prompt: 18, completion: 61, cached: 0 } },
  { model: "o4-mini", pieces: [{ thought: "The user wants…" }, ...words(answers["gpt-4o"] ?? "", 10)], usage: { prompt: 20, completion: 180, reasoning: 120 } },
];

/** Fills a gateway's tables with two months of requests, as usage looks in a small team. */
export async function fill(gateway: Gateway, keys: readonly { id: string; label: string }[] = [{ id: "k_00000000000000a1", label: "sk-…a1f0" }, { id: "k_00000000000000b2", label: "sk-…b27c" }]) {
  const models = [
    ["gpt-4o-mini", 150, 600, 55],
    ["gpt-4o", 2500, 10_000, 25],
    ["gpt-4.1-mini", 400, 1600, 30],
    ["o4-mini", 1100, 4400, 10],
    ["text-embedding-3-small", 20, 0, 20],
  ] as const;
  let seed = 7;
  const random = () => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
  const rows: string[] = [];
  const now = Date.now();
  for (let hour = 59 * 24; hour > 0; hour--) {
    const at = new Date(now - hour * 3_600_000);
    const busy = [0, 6].includes(at.getDay()) ? 0.2 : at.getHours() > 7 && at.getHours() < 19 ? 1 : 0.15;
    for (const [model, input, output, weight] of models) {
      for (let n = Math.round((weight / 12) * busy * (0.5 + random())); n > 0; n--) rows.push(row(model, input, output, new Date(at.getTime() + random() * 3_599_000), keys.map((k) => k.id), random));
    }
  }
  const text = `BEGIN;\n${rows.join("\n")}\n${keys.map(({ id, label }) => `INSERT OR IGNORE INTO keys (key_id, label, first_seen) VALUES ('${id}', '${label.replaceAll("'", "''")}', '2026-01-01T00:00:00.000000Z');`).join("\n")}\nCOMMIT;\n`;
  execFileSync("sqlite3", ["-cmd", ".timeout 5000", gateway.database], { input: text, maxBuffer: 1 << 28 });
}

const people = [
  ["ada@example.com", "research"],
  ["ben@example.com", "platform"],
  ["chi@example.com", "support"],
  ["dana@example.com", "research"],
] as const;
const features = ["search", "summaries", "triage", "drafts"];

function row(model: string, input: number, output: number, at: Date, keys: readonly string[], random: () => number): string {
  const prompt = Math.round(200 + random() * 3000);
  const completion = output === 0 ? 0 : Math.round(40 + random() * 700);
  const ttft = Math.round(180 + random() * 500);
  const failed = random() < 0.015;
  const cost = failed ? 0 : prompt * input + completion * output;
  const hex = (n: number) => Math.floor(random() * 2 ** n).toString(16).padStart(n / 4, "0");
  const ms = at.getTime().toString(16).padStart(12, "0");
  const id = `${ms.slice(0, 8)}-${ms.slice(8)}-7${hex(12)}-8${hex(12)}-${hex(24)}${hex(24)}`;
  const key = keys[Math.floor(random() ** 1.5 * keys.length)]!;
  const [user, team] = people[Math.floor(random() ** 2 * people.length)]!;
  const tags = random() < 0.7 ? `'{"feature":"${features[Math.floor(random() * features.length)]}"${random() < 0.4 ? ',"stage":"production"' : ""}}'` : "NULL";
  const values = [
    `'${at.toISOString().replace("Z", "000Z")}'`, `'${id}'`, `'${id}'`, ttft + completion * 12, ttft, `'${key}'`, "'127.0.0.1'", output ? "'/v1/chat/completions'" : "'/v1/embeddings'",
    `'${model}'`, "'provider'", `'${model}'`, output ? 1 : 0, failed ? 503 : 200, failed ? "'provider_error'" : "'ok'", failed ? 4 : 1, failed ? 0 : prompt, 0, failed ? 0 : completion,
    0, `'${user}'`, `'${team}'`, tags, random() < 0.02 ? "'counted'" : "'provider'", "'both'", cost, "'genai-prices'",
  ];
  return `INSERT INTO requests (started_at, id, request_id, duration_ms, ttft_ms, key_id, client_ip, endpoint, model, backend, upstream_model, stream, status, outcome, attempts, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, user_id, team, tags, usage_source, witness, cost_nanousd, price_version) VALUES (${values.join(", ")});`;
}
