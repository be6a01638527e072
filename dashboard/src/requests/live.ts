import { useEffect, useState } from "react";
import { address, getJSON } from "@/api/client";
import type { RequestPage, RequestRow } from "@/api/types";

export type Filters = Record<string, string | undefined>;

/** How new requests come: as a stream of events, by asking again and again, or not at all. */
export type LiveState = "off" | "streamed" | "polled";

const looked = 50; // of the newest at each look
const lookEvery = 2000; // ms, where the gateway cannot tell
const listenAgain = 30_000; // ms after it could not
const kept = 2000; // received rows

/** Filters that a row itself cannot answer. */
const unanswered = ["team", "tag"];

/** Whether a row is one that filters choose. */
export function fits(row: RequestRow, f: Filters): boolean {
  const failed = row.outcome === "provider_error" || row.outcome === "provider_closed";
  return (
    (!f.from || Date.parse(row.started_at) >= Date.parse(f.from)) &&
    (!f.model || row.model === f.model) &&
    (!f.backend || row.backend === f.backend) &&
    (!f.key || row.key_id === f.key) &&
    (!f.user || row.user_id === f.user) &&
    (!f.min_cost || reaches(row.cost_nanousd, Math.round(Number(f.min_cost) * 1e9))) &&
    (!f.min_duration_ms || reaches(row.duration_ms, Number(f.min_duration_ms))) &&
    (!f.min_ttft_ms || reaches(row.ttft_ms, Number(f.min_ttft_ms))) &&
    (!f.request_id || row.request_id === f.request_id) &&
    (!f.outcome || row.outcome === f.outcome || (f.outcome === "failed" && failed))
  );
}

/** As the gateway decides it: 0 chooses all, and a figure that is not known reaches nothing else. */
const reaches = (figure: number | null, least: number) => least === 0 || (figure !== null && figure >= least);

/** Rows by their ids with some more, each as it was received last; the oldest are dropped. */
export function take(before: ReadonlyMap<string, RequestRow>, rows: readonly RequestRow[]): ReadonlyMap<string, RequestRow> {
  const after = new Map(before);
  for (const row of rows) {
    after.delete(row.id);
    after.set(row.id, row);
  }
  for (const id of after.keys()) {
    if (after.size <= kept) break;
    after.delete(id);
  }
  return after;
}

/**
 * Requests that come while a page is open, by their ids. The gateway tells them in an event
 * stream; where it has no room for one more watcher, or cannot filter, it is asked again and again.
 */
export function useLive(filters: Filters, enabled: boolean): { received: ReadonlyMap<string, RequestRow>; state: LiveState } {
  const [received, setReceived] = useState<ReadonlyMap<string, RequestRow>>(new Map());
  const [state, setState] = useState<LiveState>("off");
  useEffect(() => setReceived(new Map()), [filters]);
  useEffect(() => {
    if (!enabled) return setState("off");
    const follower = new Follower(filters, (rows) => setReceived((before) => take(before, rows)), setState);
    return () => follower.end();
  }, [filters, enabled]);
  return { received, state };
}

/** Follows new requests until it is ended. While nobody looks at the page it rests. */
class Follower {
  private stream: EventSource | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly ended = new AbortController();

  constructor(
    private readonly filters: Filters,
    private readonly onRows: (rows: RequestRow[]) => void,
    private readonly onState: (state: LiveState) => void,
  ) {
    document.addEventListener("visibilitychange", this.follow, { signal: this.ended.signal });
    this.follow();
  }

  end() {
    this.ended.abort();
    this.rest();
  }

  private follow = () => {
    this.rest();
    if (document.hidden) return;
    if (unanswered.some((name) => this.filters[name])) this.ask(0);
    else this.listen();
  };

  private rest() {
    this.stream?.close();
    clearTimeout(this.timer);
  }

  private listen() {
    const stream = new EventSource(address("/api/requests/live", { model: this.filters.model, key: this.filters.key }));
    this.stream = stream;
    stream.addEventListener("open", () => {
      this.onState("streamed");
      void this.look(); // what came before, or while the stream was away
    });
    stream.addEventListener("skipped", () => void this.look());
    stream.addEventListener("request", (event: MessageEvent<string>) => {
      const row = JSON.parse(event.data) as RequestRow;
      if (fits(row, this.filters)) this.onRows([row]);
    });
    stream.addEventListener("error", () => {
      if (stream.readyState === EventSource.CLOSED) this.ask(Date.now() + listenAgain);
    });
  }

  /** Asks until a time, at which it listens again; 0 is never. */
  private ask(until: number) {
    this.onState("polled");
    void this.look();
    this.timer = setTimeout(() => (until > 0 && Date.now() >= until ? this.listen() : this.ask(until)), lookEvery);
  }

  private async look() {
    try {
      const page = await getJSON<RequestPage>("/api/requests", { ...this.filters, limit: looked }, this.ended.signal);
      if (!this.ended.signal.aborted) this.onRows(page.data.toReversed());
    } catch {
      // the gateway is away: the next look may find it
    }
  }
}
