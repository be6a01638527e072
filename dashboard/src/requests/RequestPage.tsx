import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { ArrowLeft } from "lucide-react";
import type { ReactNode } from "react";
import { APIError, getJSON } from "@/api/client";
import type { RequestDetail } from "@/api/types";
import { formatDuration, formatMoney, formatNumber } from "@/lib/format";
import { CopyButton } from "@/ui/copy-button";
import { Badge, Empty, Failure, Skeleton } from "@/ui/feedback";
import { Card, Page } from "@/ui/page";
import { Time } from "@/ui/time";
import { outcomes, speedOf } from "./filters";
import { Preview } from "./Preview";
import { PriceLines } from "./PriceLines";
import { Waterfall } from "./Waterfall";

export function RequestPage() {
  const { id = "" } = useParams({ strict: false }) as { id?: string };
  const request = useQuery({ queryKey: ["request", id], queryFn: ({ signal }) => getJSON<RequestDetail>(`/api/requests/${encodeURIComponent(id)}`, {}, signal) });
  return (
    <Page
      title="Request"
      actions={
        <Link to="/requests" className="flex items-center gap-1.5 text-muted hover:text-foreground">
          <ArrowLeft aria-hidden className="size-4" /> All requests
        </Link>
      }
    >
      {request.isPending && <Skeleton className="h-64 rounded-xl" />}
      {request.isError && <Missing error={request.error} retry={() => void request.refetch()} />}
      {request.data && <Detail request={request.data} />}
    </Page>
  );
}

function Missing({ error, retry }: { error: Error; retry: () => void }) {
  if (error instanceof APIError && error.status === 404) return <Empty title="No such request is recorded">It may still run: rows appear about a second after their request has ended. Old ones may have been removed.</Empty>;
  return <Failure title="The request could not be read" error={error} retry={retry} />;
}

function Detail({ request: r }: { request: RequestDetail }) {
  const { label, tone } = outcomes[r.outcome];
  const speed = speedOf(r);
  return (
    <div className="space-y-4">
      <div className="relative flex flex-wrap items-center gap-x-3 gap-y-1 pr-10">
        <h2 className="text-xl font-semibold tracking-tight">{r.model}</h2>
        <Badge tone={tone}>
          {label}
          {r.status ? ` ${r.status}` : ""}
        </Badge>
        {r.error_code && <code className="font-mono text-[0.8125rem] text-danger">{r.error_code}</code>}
        <span className="text-muted">
          <Time at={r.started_at} />
        </span>
        <CopyButton className="absolute top-0.5 right-0" text={JSON.stringify(r, null, 2)} label="Copy the record as JSON" />
      </div>
      <dl className="grid grid-cols-2 gap-px overflow-hidden rounded-xl border bg-line sm:grid-cols-3 lg:grid-cols-6">
        <Fact name="Cost">{r.cost_nanousd === null ? "price unknown" : formatMoney(r.cost_nanousd)}</Fact>
        <Fact name="Prompt tokens">{formatNumber(r.prompt_tokens)}</Fact>
        <Fact name="Answer tokens">{formatNumber(r.completion_tokens)}</Fact>
        <Fact name="First token">{formatDuration(r.ttft_ms)}</Fact>
        <Fact name="Total">{formatDuration(r.duration_ms)}</Fact>
        <Fact name="Tokens a second">{speed === null ? "–" : formatNumber(Math.round(speed))}</Fact>
      </dl>
      <Waterfall request={r} />
      <div className="grid grid-cols-[minmax(0,1fr)] items-start gap-4 lg:grid-cols-2">
        <PriceLines request={r} />
        <Origin request={r} />
      </div>
      <Preview request={r} />
    </div>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="bg-surface px-4 py-3">
      <dt className="text-[0.8125rem] text-muted">{name}</dt>
      <dd className="figures mt-0.5 text-base font-semibold">{children}</dd>
    </div>
  );
}

const witnesses: Record<RequestDetail["witness"], string> = {
  both: "Envoy and the gateway",
  gateway: "the gateway alone",
  envoy: "Envoy alone: the gateway was away, or lost sight of it",
  none: "nobody: all that is known is that it was sent",
};

const sources: Record<RequestDetail["usage_source"], string> = {
  provider: "the provider, read by the gateway",
  envoy: "the provider, read by Envoy",
  counted: "the gateway, with the model’s own tokenizer",
  estimated: "the gateway, as an estimate",
  none: "nobody: the answer tells none",
};

/** Whose request it was, who served it, and who saw it. */
function Origin({ request: r }: { request: RequestDetail }) {
  return (
    <Card title="Where from, where to">
      <dl className="divide-y px-4 pt-1 pb-2">
        <Line name="Key">{r.key_label || r.key_id}</Line>
        {r.user_id && <Line name="User">{r.user_id}</Line>}
        <Line name="Client">{r.client_ip}</Line>
        <Line name="Endpoint">
          {r.endpoint}
          {r.stream ? ", streamed" : ""}
        </Line>
        <Line name="Backend">{r.backend || "none"}</Line>
        <Line name="Model there">{r.upstream_model}</Line>
        <Line name="Tokens reported by">{sources[r.usage_source]}</Line>
        <Line name="End seen by">{witnesses[r.witness]}</Line>
        <Line name="Request id" copy={r.request_id} />
        <Line name="Record id" copy={r.id} />
      </dl>
    </Card>
  );
}

function Line({ name, children, copy }: { name: string; children?: ReactNode; copy?: string }) {
  return (
    <div className="flex min-h-9 items-center gap-4">
      <dt className="w-32 shrink-0 text-muted">{name}</dt>
      <dd className="flex min-w-0 flex-1 items-center justify-between gap-2 py-1.5 [overflow-wrap:anywhere]">
        {copy ? <code className="truncate font-mono text-[0.8125rem]">{copy}</code> : children}
        {copy && <CopyButton text={copy} label={`Copy the ${name.toLowerCase()}`} />}
      </dd>
    </div>
  );
}
