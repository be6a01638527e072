import { expect, test } from "vitest";
import { bucketLabel, latencyPoints } from "./buckets";
import { latencyMetrics } from "./metrics";

const percentiles = (ttft: number | null) => ({ ttft_p50_ms: ttft, ttft_p95_ms: ttft, duration_p50_ms: null, duration_p95_ms: null });
const bucket = (start: string, complete = true) => ({ start, end: start, complete });

test("a bucket without requests is a gap, and the one that is not over is reached by a dashed line", () => {
  const usage = { latency: [percentiles(100), percentiles(null), percentiles(300), percentiles(400)], buckets: [true, true, true, false].map((complete) => ({ complete })) };
  const points = latencyPoints(usage, latencyMetrics[0]!);
  expect(points.map((p) => p.solid0)).toEqual([100, null, 300, null]);
  expect(points.map((p) => p.open0)).toEqual([null, null, 300, 400]);
});

test("labels are in the zone of the buckets, and hours of several days have their day", () => {
  const day = bucketLabel({ interval: "day", buckets: [bucket("2026-03-01T00:00:00Z")] }, "utc");
  expect(day(0)).toMatch(/Mar/);
  expect(day(1)).toBe("");
  const hours = Array.from({ length: 48 }, (_, n) => bucket(new Date(Date.UTC(2026, 2, 1, n)).toISOString()));
  expect(bucketLabel({ interval: "hour", buckets: hours }, "utc")(30)).toMatch(/Mon/);
  expect(bucketLabel({ interval: "hour", buckets: hours.slice(0, 24) }, "utc")(5)).not.toMatch(/Sun/);
});
