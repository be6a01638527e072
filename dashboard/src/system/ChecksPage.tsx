import { useQuery } from "@tanstack/react-query";
import { CircleCheck, CircleMinus, OctagonX, RotateCw } from "lucide-react";
import { getJSON } from "@/api/client";
import type { Finding, Findings } from "@/api/types";
import { Button } from "@/ui/button";
import { Badge, Skeleton, Unreadable } from "@/ui/feedback";
import { Card, Page } from "@/ui/page";
import { Time } from "@/ui/time";
import { SystemTabs } from "./SystemTabs";

/** What `ai-gateway doctor` finds, in the process that answers. */
export function ChecksPage() {
  const checks = useQuery({ queryKey: ["checks"], queryFn: ({ signal }) => getJSON<Findings>("/api/checks", {}, signal), staleTime: 60_000, refetchOnWindowFocus: false });
  return (
    <Page title="System" actions={<SystemTabs />}>
      {checks.isPending && <Skeleton className="h-64 rounded-xl" />}
      {checks.isError && <Unreadable title="The checks could not be run" error={checks.error} retry={() => void checks.refetch()} />}
      {checks.data && (
        <Card
          title={<Summary findings={checks.data.data} />}
          actions={
            <>
              <span className="text-[0.8125rem] text-muted">
                checked <Time at={checks.data.at} ago />
              </span>
              <Button size="sm" disabled={checks.isFetching} onClick={() => void checks.refetch()}>
                <RotateCw className={checks.isFetching ? "animate-spin" : ""} /> Check again
              </Button>
            </>
          }
        >
          <ul className="divide-y px-4 pb-2">
            {checks.data.data.map((f) => (
              <Line key={f.about} finding={f} />
            ))}
          </ul>
        </Card>
      )}
      <p className="mt-4 text-[0.8125rem] text-muted">
        Backends are asked for their models, which costs nothing. <code className="font-mono">ai-gateway doctor</code> checks the same before the gateway runs, and also the port, Envoy and its memory.
      </p>
    </Page>
  );
}

function Summary({ findings }: { findings: Finding[] }) {
  const failed = findings.filter((f) => f.state === "failed").length;
  return failed === 0 ? <>Nothing is wrong</> : <>{failed === 1 ? "One check failed" : `${failed} checks failed`}</>;
}

const icons = {
  ok: <CircleCheck role="img" aria-label="ok" className="mt-0.5 size-4 shrink-0 text-good" />,
  failed: <OctagonX role="img" aria-label="failed" className="mt-0.5 size-4 shrink-0 text-danger" />,
  skipped: <CircleMinus role="img" aria-label="not checked" className="mt-0.5 size-4 shrink-0 text-muted" />,
};

function Line({ finding: f }: { finding: Finding }) {
  return (
    <li className="flex items-start gap-3 py-2.5">
      {icons[f.state]}
      <div className="min-w-0 flex-1 [overflow-wrap:anywhere] sm:flex sm:gap-4">
        <span className="block w-44 shrink-0 font-medium">
          {f.about} {f.state === "skipped" && <Badge>not checked</Badge>}
        </span>
        <span className="block min-w-0 flex-1">
          <span className={f.state === "failed" ? "block text-danger" : "block"}>{f.text}</span>
          {f.hint && <span className="block text-muted">{f.hint}</span>}
        </span>
      </div>
    </li>
  );
}
