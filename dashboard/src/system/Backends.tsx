import type { Backend } from "@/api/types";
import { formatNumber } from "@/lib/format";
import { Badge, Empty } from "@/ui/feedback";
import { Card } from "@/ui/page";
import { Time } from "@/ui/time";

/** Where models are served, and how that went in the last hour. */
export function Backends({ backends, states }: { backends: Backend[]; states?: Record<string, string> }) {
  return (
    <Card title="Backends" className="overflow-hidden">
      {backends.length === 0 ? (
        <Empty title="No backend is known" />
      ) : (
        <div className="scroll-thin overflow-x-auto" tabIndex={0} role="region" aria-label="Backends">
          <table className="figures mt-1 w-full min-w-180 text-left">
            <thead className="text-[0.8125rem] text-muted">
              <tr className="border-b">
                {["Name", "Address", "Models", "Key", "Last hour", "Last used"].map((h) => (
                  <th key={h} className="px-3 py-2 font-medium first:pl-4 last:pr-4">
                    {h}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {backends.map((b) => (
                <tr key={b.name} className="border-b align-top last:border-b-0">
                  <td className="py-2 pl-4 font-medium">
                    {b.name} {b.default && <Badge>default</Badge>}
                    {states?.[b.name] && states[b.name] !== "ok" && <span className="block font-normal text-danger">{states[b.name]}</span>}
                  </td>
                  <td className="px-3 py-2">{b.base_url}</td>
                  <td className="max-w-72 px-3 py-2">{b.models.join(", ") || (b.default ? "all others" : "none")}</td>
                  <td className="px-3 py-2">{b.key}</td>
                  <td className="px-3 py-2 whitespace-nowrap">
                    <HourOf backend={b} />
                  </td>
                  <td className="py-2 pr-4 pl-3">{b.last_seen ? <Time at={b.last_seen} ago /> : <span className="text-muted">not lately</span>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Card>
  );
}

function HourOf({ backend: { requests, failed } }: { backend: Backend }) {
  if (requests === 0) return <span className="text-muted">no requests</span>;
  return (
    <>
      {formatNumber(requests)} requests {failed > 0 ? <Badge tone={failed * 10 > requests ? "danger" : "warning"}>{formatNumber(failed)} failed</Badge> : <Badge tone="good">none failed</Badge>}
    </>
  );
}
