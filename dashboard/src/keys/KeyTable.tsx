import { useNavigate } from "@tanstack/react-router";
import { ArrowDown, ArrowUp, Ban, ChartColumn, Ellipsis, Gauge, List, Pencil, RotateCw } from "lucide-react";
import { useState } from "react";
import { cn } from "@/lib/cn";
import { formatAgo, formatMoney, formatNumber } from "@/lib/format";
import { usePageSearch } from "@/lib/search";
import { IconButton } from "@/ui/button";
import { Badge, type Tone } from "@/ui/feedback";
import { Menu, MenuItem } from "@/ui/menu";
import { Time } from "@/ui/time";
import { KeyFormDialog } from "./KeyForm";
import { RevokeDialog, RotateDialog } from "./KeyDialogs";
import { sortKeys, type KeyOrder, type Spending } from "./order";
import type { IssuedKey, Key } from "./types";
import { useSpending } from "./useKeys";

const tones: Record<Key["status"], Tone> = { active: "good", expired: "warning", revoked: "danger" };

interface KeyTableProps {
  keys: Key[];
  admin: boolean;
  onIssued: (key: IssuedKey) => void;
}

const headings: { name: string; order?: KeyOrder }[] = [
  { name: "Label", order: "label" },
  { name: "Owner", order: "owner" },
  { name: "Status", order: "status" },
  { name: "Models, limits, budget" },
  { name: "Expires", order: "expires" },
  { name: "Last used", order: "used" },
  { name: "Last 30 days", order: "spent" },
];

export function KeyTable({ keys, admin, onIssued }: KeyTableProps) {
  const spending = useSpending().data ?? new Map();
  const [search, setSearch] = usePageSearch();
  const order = headings.find((h) => h.order === search.order)?.order;
  const down = search.down === "yes";
  const shown = order ? sortKeys(keys, order, down, spending) : keys;
  return (
    <div className="scroll-thin overflow-x-auto" tabIndex={0} role="region" aria-label="Keys">
      <table className="figures mt-1 w-full min-w-220 text-left">
        <thead className="text-[0.8125rem] text-muted">
          <tr className="border-b">
            {headings.map((h) => (
              <Heading key={h.name} {...h} sorted={h.order && h.order === order ? (down ? "descending" : "ascending") : "none"} onSort={(next, nextDown) => setSearch({ order: next, down: nextDown ? "yes" : undefined })} />
            ))}
            <th>
              <span className="sr-only">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {shown.map((key) => (
            <KeyRow key={key.id} apiKey={key} admin={admin} onIssued={onIssued} spent={spending.get(key.id)} />
          ))}
        </tbody>
      </table>
      {keys.length === 0 && <p className="px-4 py-6 text-center text-muted">No key has these words.</p>}
    </div>
  );
}

interface HeadingProps {
  name: string;
  order?: KeyOrder;
  sorted: "ascending" | "descending" | "none";
  onSort: (order: KeyOrder | undefined, down: boolean) => void;
}

/** A heading that sorts by its column: upwards, downwards, and as it was. */
function Heading({ name, order, sorted, onSort }: HeadingProps) {
  if (!order) return <th className="px-2.5 py-2 font-medium">{name}</th>;
  const next = { none: () => onSort(order, false), ascending: () => onSort(order, true), descending: () => onSort(undefined, false) }[sorted];
  const Icon = sorted === "descending" ? ArrowDown : ArrowUp;
  return (
    <th aria-sort={sorted} className="px-1 py-1 font-medium first:pl-2.5">
      <button type="button" onClick={next} className="group inline-flex items-center gap-1 rounded-md px-1.5 py-1 whitespace-nowrap hover:bg-hover hover:text-foreground">
        {name}
        <Icon aria-hidden className={cn("size-3.5", sorted === "none" && "opacity-0 group-hover:opacity-50")} />
      </button>
    </th>
  );
}

interface KeyRowProps {
  apiKey: Key;
  admin: boolean;
  spent?: Spending extends ReadonlyMap<string, infer V> ? V : never;
  onIssued: (key: IssuedKey) => void;
}

function KeyRow({ apiKey: key, admin, spent, onIssued }: KeyRowProps) {
  return (
    <tr className={cn("border-b align-top last:border-b-0", key.status !== "active" && "text-muted")}>
      <td className="min-w-36 py-2.5 pl-4" title={`Made ${formatAgo(key.created_at)}`}>
        <span className="font-medium">{key.label}</span> {key.role === "admin" && <Badge>admin</Badge>}
        <code className="block font-mono text-xs text-muted">{key.prefix}…</code>
      </td>
      <td className="px-2.5 py-2.5">
        {key.owner || "–"}
        {key.team && <span className="block text-xs text-muted">{key.team}</span>}
      </td>
      <td className="px-2.5 py-2.5">
        <Badge tone={tones[key.status]}>{key.status}</Badge>
        {key.grace_until && new Date(key.grace_until) > new Date() && (
          <span className="mt-0.5 block text-xs text-muted">
            old secret until <Time at={key.grace_until} />
          </span>
        )}
      </td>
      <td className="max-w-64 px-2.5 py-2.5">
        <LimitList models={key.models} limits={key.limits} budget={key.budget} />
      </td>
      <td className="px-2.5 py-2.5">{key.expires_at ? <Time at={key.expires_at} day /> : <span className="text-muted">never</span>}</td>
      <td className="px-2.5 py-2.5 whitespace-nowrap">{key.last_used_at ? <Time at={key.last_used_at} ago /> : <span className="text-muted">never</span>}</td>
      <td className="px-2.5 py-2.5 whitespace-nowrap">
        {spent ? (
          <>
            {formatMoney(spent.cost_nanousd)}
            {spent.unpriced_requests > 0 && " *"}
            <span className="block text-xs text-muted">{formatNumber(spent.requests)} requests</span>
          </>
        ) : (
          <span className="text-muted">unused</span>
        )}
      </td>
      <td className="py-1.5 pr-2 text-right">
        <KeyMenu apiKey={key} admin={admin} onIssued={onIssued} />
      </td>
    </tr>
  );
}

function LimitList({ models, limits, budget }: Pick<Key, "models" | "limits" | "budget">) {
  const set = Object.entries(limits).filter(([, value]) => value !== null && value !== undefined);
  const only = models ? [models.length > 0 ? `only ${models.join(", ")}` : "no model"] : [];
  const lines = [...only, ...(budget ?? []).map((b) => budgetText(b.per, b.usd)), ...set.map(([name, value]) => `${formatNumber(value)} ${limitText(name)}`)];
  if (lines.length === 0) return <span className="text-muted">as configured</span>;
  return lines.map((line) => (
    <span key={line} className="block truncate" title={line}>
      {line}
    </span>
  ));
}

const limitText = (name: string) => name.replace("per_hour", "an hour").replace("per_", "a ").replaceAll("_", " ");

const budgetText = (per: string, usd: number | null) => `${usd === null ? "any sum" : formatMoney(Math.round(usd * 1e9))} ${per === "total" ? "in all" : `a ${per}`}`;

function KeyMenu({ apiKey: key, admin, onIssued }: Omit<KeyRowProps, "spent">) {
  const navigate = useNavigate();
  const [asking, setAsking] = useState<"edit" | "rotate" | "revoke" | null>(null);
  const close = () => setAsking(null);
  const changeable = admin && key.status !== "revoked";
  return (
    <>
      <Menu
        trigger={
          <IconButton label={`Options of ${key.label}`} size="icon-sm">
            <Ellipsis />
          </IconButton>
        }
      >
        <MenuItem onSelect={() => void navigate({ to: "/usage", search: { key: key.id, range: "30d" } as never })}>
          <ChartColumn /> Usage
        </MenuItem>
        <MenuItem onSelect={() => void navigate({ to: "/requests", search: { key: key.id } as never })}>
          <List /> Requests
        </MenuItem>
        <MenuItem onSelect={() => void navigate({ to: "/usage/limits", search: (admin ? { key: key.id } : {}) as never })}>
          <Gauge /> What is left
        </MenuItem>
        {changeable && (
          <>
            <MenuItem onSelect={() => setAsking("edit")}>
              <Pencil /> Change
            </MenuItem>
            <MenuItem onSelect={() => setAsking("rotate")}>
              <RotateCw /> Rotate
            </MenuItem>
            <MenuItem danger onSelect={() => setAsking("revoke")}>
              <Ban /> Revoke
            </MenuItem>
          </>
        )}
      </Menu>
      <KeyFormDialog open={asking === "edit"} onClose={close} existing={key} onIssued={onIssued} />
      <RotateDialog open={asking === "rotate"} apiKey={key} onClose={close} onIssued={onIssued} />
      <RevokeDialog open={asking === "revoke"} apiKey={key} onClose={close} />
    </>
  );
}
