import { useQuery, useQueryClient } from "@tanstack/react-query";
import { CloudOff } from "lucide-react";
import { useEffect, useRef } from "react";

/** Health as far as every page needs it: whether anything answers. */
async function reachable(): Promise<boolean> {
  try {
    const response = await fetch("/health", { signal: AbortSignal.timeout(4000) });
    return response.headers.get("content-type")?.includes("json") === true && response.status !== 503;
  } catch {
    return false;
  }
}

/** A line that says that the gateway does not answer, until it does. */
export function GatewayAway() {
  const queries = useQueryClient();
  const wasAway = useRef(false);
  const { data: here = true } = useQuery({
    queryKey: ["reachable"],
    queryFn: reachable,
    refetchInterval: (query) => (query.state.data === false ? 2000 : 15_000),
    retry: false,
    networkMode: "always",
  });
  useEffect(() => {
    if (here && wasAway.current) void queries.invalidateQueries({ predicate: (q) => q.queryKey[0] !== "reachable" });
    wasAway.current = !here;
  }, [here, queries]);
  return (
    <div role="status">
      {!here && (
        <p className="flex items-center justify-center gap-2 bg-warning-soft px-4 py-1.5 text-warning">
          <CloudOff aria-hidden className="size-4" /> The gateway does not answer. This page tries again every two seconds.
        </p>
      )}
    </div>
  );
}
