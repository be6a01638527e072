import { useQuery } from "@tanstack/react-query";
import { CircleCheck, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { getJSON } from "@/api/client";
import type { Health, System } from "@/api/types";
import { formatBytes, formatNumber } from "@/lib/format";
import { Badge, Failure, Skeleton, Unreadable } from "@/ui/feedback";
import { Card, Page } from "@/ui/page";
import { Time } from "@/ui/time";
import { Backends } from "./Backends";
import { Settings } from "./Settings";
import { SystemTabs } from "./SystemTabs";

export function SystemPage() {
  const system = useQuery({ queryKey: ["system"], queryFn: ({ signal }) => getJSON<System>("/api/system", {}, signal), refetchInterval: 5000 });
  return (
    <Page
      title="System"
      actions={
        <>
          {system.data && <Status health={system.data.agent.health} />}
          <SystemTabs />
        </>
      }
    >
      {system.isPending && <Skeleton className="h-64 rounded-xl" />}
      {system.isError && <Unreadable title="The state could not be read" error={system.error} retry={() => void system.refetch()} />}
      {system.data && <Parts system={system.data} />}
    </Page>
  );
}

function Status({ health }: { health?: Health }) {
  if (!health) return <Badge tone="danger">agent away</Badge>;
  return <Badge tone={health.status === "ok" ? "good" : health.status === "degraded" ? "warning" : "danger"}>{health.status}</Badge>;
}

function Parts({ system }: { system: System }) {
  const { health } = system.agent;
  return (
    <div className="space-y-4">
      {system.agent.error && <Failure title="The agent does not answer" error={system.agent.error} />}
      {system.fault && <Failure title="The configuration cannot be read" error={system.fault} />}
      {health && (
        <>
          <States health={health} store={system.api.store} />
          <div className="grid items-start gap-4 lg:grid-cols-2">
            <div className="space-y-4">
              <EnvoyCard health={health} />
              <LimitsCard health={health} />
            </div>
            <RecordsCard health={health} />
          </div>
        </>
      )}
      <Backends backends={system.backends} states={health?.backends} />
      {system.config && <Settings text={system.config} />}
      <p className="text-[0.8125rem] text-muted">
        Version {system.api.version}, up for {uptime(system.api.uptime_seconds)}.
      </p>
    </div>
  );
}

function uptime(seconds: number): string {
  const format = (n: number, unit: string) => new Intl.NumberFormat(undefined, { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 }).format(n);
  if (seconds < 120) return format(seconds, "second");
  if (seconds < 7200) return format(seconds / 60, "minute");
  return seconds < 172_800 ? format(seconds / 3600, "hour") : format(seconds / 86_400, "day");
}

const names: Record<string, string> = { serve: "Services", config: "Configuration", store: "Tables", usage: "Records", envoy: "Envoy", keys: "Gateway keys", limits: "Limits", budgets: "Budgets", backends: "Backends" };

/** The parts and what is wrong with them. */
function States({ health, store }: { health: Health; store: string }) {
  const parts = Object.entries({ ...health.parts, ...(store === "ok" ? {} : { store }) });
  return (
    <ul className="grid grid-cols-2 gap-3 sm:grid-cols-3 xl:grid-cols-5">
      {parts.map(([name, state]) => (
        <li key={name} className="flex items-start gap-2.5 rounded-xl border bg-surface px-3.5 py-3">
          {state === "ok" ? <CircleCheck aria-hidden className="mt-0.5 size-4 text-good" /> : <TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-warning" />}
          <span className="min-w-0">
            <span className="block font-medium">{names[name] ?? name}</span>
            <span className="block text-[0.8125rem] [overflow-wrap:anywhere] text-muted">{state}</span>
          </span>
        </li>
      ))}
    </ul>
  );
}

function EnvoyCard({ health: { envoy, config, storage } }: { health: Health }) {
  return (
    <Card title="Envoy and its configuration">
      <dl className="divide-y px-4 pt-1 pb-2">
        <Line name="Envoy">{envoy.connected > 0 ? `${envoy.version}${envoy.connected > 1 ? `, ${envoy.connected} of them` : ""}` : "not connected"}</Line>
        <Line name="Version in force">
          <code className="font-mono text-[0.8125rem]">{envoy.config_version}</code>
        </Line>
        <Line name="Acknowledged">
          {envoy.rejected ? (
            <span className="text-danger">
              refused <Time at={envoy.rejected.at} ago />: {envoy.rejected.reason}
            </span>
          ) : (
            "yes"
          )}
        </Line>
        <Line name="File">{config.file || "none: the environment alone"}</Line>
        <Line name="In force since">
          <Time at={config.since} ago />
        </Line>
        {config.fault && (
          <Line name="Not in force">
            <span className="text-danger">{config.fault}</span>
          </Line>
        )}
        <Line name="Usage is kept in">{storage}</Line>
      </dl>
    </Card>
  );
}

function LimitsCard({ health: { limits } }: { health: Health }) {
  return (
    <Card title="Limits">
      <dl className="figures divide-y px-4 pt-1 pb-2">
        <Line name="Counted by">{limits.service || "this process"}</Line>
        <Line name="Refused requests">{formatNumber(limits.refused)}</Line>
        <Alarm name="Not checked" value={limits.missed} meaning="requests while limits could not be asked" />
        <Alarm name="Tokens not charged" value={limits.lost_tokens} meaning="that the limits do not know of" />
      </dl>
    </Card>
  );
}

function RecordsCard({ health: { usage } }: { health: Health }) {
  return (
    <Card title="Records">
      <dl className="figures divide-y px-4 pt-1 pb-2">
        <Line name="Written since the start">{formatNumber(usage.written)}</Line>
        <Line name="Not written yet">{formatNumber(usage.unwritten)}</Line>
        <Line name="Running requests">{formatNumber(usage.open)}</Line>
        <Line name="Log on disk">
          {formatBytes(usage.spool_bytes)} in {formatNumber(usage.spool_segments)} {usage.spool_segments === 1 ? "file" : "files"}
        </Line>
        <Line name="Age of its oldest file">{Math.round(usage.oldest_seconds)} s</Line>
        <Line name="Without a price">{formatNumber(usage.unpriced)}</Line>
        <Alarm name="Refused" value={usage.refused} meaning="requests that could not be recorded" />
        <Alarm name="Unwritten ends" value={usage.lost} meaning="known from Envoy’s access log alone" />
        <Alarm name="Unreadable" value={usage.unread} meaning="records and lines of the logs" />
      </dl>
    </Card>
  );
}

function Alarm({ name, value, meaning }: { name: string; value: number; meaning: string }) {
  return (
    <Line name={name}>
      {formatNumber(value)} {value > 0 && <Badge tone="warning">{meaning}</Badge>}
    </Line>
  );
}

function Line({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="flex gap-4 py-2">
      <dt className="w-40 shrink-0 text-muted">{name}</dt>
      <dd className="min-w-0 flex-1 [overflow-wrap:anywhere]">{children}</dd>
    </div>
  );
}
