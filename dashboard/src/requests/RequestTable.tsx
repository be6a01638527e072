import { createColumnHelper, tableFeatures, useTable } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { Link } from "@tanstack/react-router";
import { ArrowUp, Inbox } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import type { RequestRow } from "@/api/types";
import { cn } from "@/lib/cn";
import { formatDuration, formatMoney, formatNumber } from "@/lib/format";
import { Button } from "@/ui/button";
import { Badge, Empty, Skeleton } from "@/ui/feedback";
import { Time } from "@/ui/time";
import { outcomes, speedOf } from "./filters";
import type { RequestList } from "./useRequests";

const rowHeight = 36;
const features = tableFeatures({});
const column = createColumnHelper<typeof features, RequestRow>();

/** Widths of the columns, in the order below. Figures are right-aligned. */
const template = "grid-cols-[8.500rem_5.500rem_minmax(6.750rem,1.300fr)_minmax(5.250rem,1fr)_minmax(6.500rem,1.500fr)_6.750rem_5.500rem_5.500rem_4.750rem_4.500rem] text-[0.8125rem]";
const firstFigure = 5;

const columns = column.columns([
  column.accessor("started_at", {
    header: "Started",
    cell: ({ row }) => (
      <Link to="/requests/$id" params={{ id: row.original.id }} className="after:absolute after:inset-0 hover:underline">
        <Time at={row.original.started_at} />
      </Link>
    ),
  }),
  column.accessor("outcome", { header: "Outcome", cell: ({ row }) => <Outcome row={row.original} /> }),
  column.accessor("model", { header: "Model", cell: ({ getValue }) => <Text text={getValue()} /> }),
  column.accessor("backend", { header: "Backend", cell: ({ row }) => <Text text={row.original.backend + (row.original.attempts > 1 ? ` (${row.original.attempts} attempts)` : "")} /> }),
  column.accessor("key_label", { header: "Key", cell: ({ row }) => <Text text={row.original.key_label || row.original.key_id} /> }),
  column.accessor("prompt_tokens", {
    header: "Tokens",
    cell: ({ row: { original: r } }) => `${isEstimate(r) ? "≈ " : ""}${formatNumber(r.prompt_tokens)} + ${formatNumber(r.completion_tokens)}`,
  }),
  column.accessor("cost_nanousd", { header: "Cost", cell: ({ getValue }) => (getValue() === null ? "unknown" : formatMoney(getValue())) }),
  column.accessor("ttft_ms", { header: "First token", cell: ({ getValue }) => formatDuration(getValue()) }),
  column.accessor((r) => speedOf(r), {
    id: "speed",
    header: "Tokens/s",
    cell: ({ getValue }) => {
      const speed = getValue();
      return speed === null ? "–" : formatNumber(Math.round(speed));
    },
  }),
  column.accessor("duration_ms", { header: "Total", cell: ({ getValue }) => formatDuration(getValue()) }),
]);

const isEstimate = (r: RequestRow) => r.usage_source === "estimated" || r.usage_source === "counted";

const Text = ({ text }: { text: string }) => (
  <span className="block truncate" title={text}>
    {text}
  </span>
);

function Outcome({ row }: { row: RequestRow }) {
  const { label, short, tone } = outcomes[row.outcome];
  return (
    <Badge tone={tone} title={[label, row.status || "", row.error_code].filter(Boolean).join(" ")}>
      {short}
      {row.outcome === "provider_error" && row.status > 0 && ` ${row.status}`}
    </Badge>
  );
}

/** A table of which only the rows in sight are drawn, however many there are. */
export function RequestTable({ list, filtered }: { list: RequestList; filtered: boolean }) {
  const view = useRef<HTMLDivElement>(null);
  const table = useTable({ features, columns, data: list.rows });
  const rows = table.getRowModel().rows;
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => view.current, estimateSize: () => rowHeight, overscan: 12 });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  const atTop = useAtTop(view);
  useEffect(() => {
    if (last >= rows.length - 20) list.more();
  }, [last, rows.length, list.hasMore, list.loadingMore]);
  useEffect(() => {
    if (list.waiting > 0 && atTop) list.showNew(); // rows that are being read do not move
  }, [list.waiting, atTop]);

  if (list.loading) return <TableSkeleton />;
  if (rows.length === 0) {
    return (
      <Empty icon={<Inbox />} title={filtered ? "No request fits these filters" : "No requests yet"}>
        {filtered ? "Choose a longer time, or take back a filter." : "They appear here about a second after they have ended."}
      </Empty>
    );
  }
  return (
    <div className="relative min-h-0 flex-1">
      {list.waiting > 0 && !atTop && (
        <Button
          size="sm"
          className="absolute top-12 left-1/2 z-20 -translate-x-1/2 rounded-full bg-raised shadow-md"
          onClick={() => {
            list.showNew();
            view.current?.scrollTo({ top: 0 });
          }}
        >
          <ArrowUp /> {list.waiting} new
        </Button>
      )}
      <div ref={view} tabIndex={0} role="region" aria-label="Requests, newest first" className="scroll-thin h-full overflow-auto rounded-xl border">
        <div role="table" aria-label="Requests" aria-rowcount={list.hasMore ? -1 : rows.length + 1} className="min-w-[59.5rem]">
        <div role="rowgroup" className="sticky top-0 z-10 min-w-[59.5rem] bg-sidebar">
          {table.getHeaderGroups().map((group) => (
            <div key={group.id} role="row" className={cn("grid border-b text-[0.8125rem] text-muted", template)}>
              {group.headers.map((header, i) => (
                <span key={header.id} role="columnheader" className={cn("px-2.5 py-2 font-medium whitespace-nowrap", i >= firstFigure && "text-right")}>
                  <table.FlexRender header={header} />
                </span>
              ))}
            </div>
          ))}
        </div>
        <div role="rowgroup" className="figures relative min-w-[59.5rem]" style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => {
            const row = rows[item.index]!;
            return (
              <div
                key={row.original.id}
                role="row"
                aria-rowindex={item.index + 2}
                className={cn("absolute inset-x-0 grid items-center border-b hover:bg-hover/60", template)}
                style={{ height: rowHeight, transform: `translateY(${item.start}px)` }}
              >
                {row.getAllCells().map((cell, i) => (
                  <span key={cell.id} role="cell" className={cn("min-w-0 px-2.5", i >= firstFigure && "text-right whitespace-nowrap")}>
                    <table.FlexRender cell={cell} />
                  </span>
                ))}
              </div>
            );
          })}
        </div>
        </div>
        <p role="status" className="px-3 py-2 text-center text-[0.8125rem] text-muted">
          {list.loadingMore ? "Reading more" : list.hasMore ? "" : "These are all."}
        </p>
      </div>
    </div>
  );
}

function useAtTop(view: React.RefObject<HTMLDivElement | null>): boolean {
  const [atTop, setAtTop] = useState(true);
  useEffect(() => {
    const el = view.current;
    if (!el) return;
    const look = () => setAtTop(el.scrollTop < rowHeight / 2);
    el.addEventListener("scroll", look, { passive: true });
    return () => el.removeEventListener("scroll", look);
  });
  return atTop;
}

function TableSkeleton() {
  return (
    <div aria-busy className="flex-1 space-y-2 rounded-xl border p-3">
      {Array.from({ length: 12 }, (_, i) => (
        <Skeleton key={i} className="h-7" />
      ))}
    </div>
  );
}
