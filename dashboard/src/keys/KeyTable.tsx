import { useNavigate } from "@tanstack/react-router";
import { ChartColumn, Ellipsis, List, Pencil, RotateCw, Ban } from "lucide-react";
import { useState } from "react";
import { cn } from "@/lib/cn";
import { formatMoney, formatNumber } from "@/lib/format";
import { IconButton } from "@/ui/button";
import { Badge, type Tone } from "@/ui/feedback";
import { Menu, MenuItem } from "@/ui/menu";
import { Time } from "@/ui/time";
import { KeyFormDialog } from "./KeyForm";
import { RevokeDialog, RotateDialog } from "./KeyDialogs";
import type { IssuedKey, Key } from "./types";
import { useSpending } from "./useKeys";

const tones: Record<Key["status"], Tone> = { active: "good", expired: "warning", revoked: "danger" };

interface KeyTableProps {
  keys: Key[];
  admin: boolean;
  onIssued: (key: IssuedKey) => void;
}

export function KeyTable({ keys, admin, onIssued }: KeyTableProps) {
  const spending = useSpending().data;
  return (
    <div className="scroll-thin overflow-x-auto" tabIndex={0} role="region" aria-label="Keys">
      <table className="figures mt-1 w-full min-w-220 text-left">
        <thead className="text-[0.8125rem] text-muted">
          <tr className="border-b">
            {["Label", "Owner", "Status", "Models", "Limits", "Expires", "Last 30 days"].map((h) => (
              <th key={h} className="px-3 py-2 font-medium first:pl-4">
                {h}
              </th>
            ))}
            <th>
              <span className="sr-only">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {keys.map((key) => (
            <KeyRow key={key.id} apiKey={key} admin={admin} onIssued={onIssued} spent={spending?.get(key.id)} />
          ))}
        </tbody>
      </table>
      {keys.length === 0 && <p className="px-4 py-6 text-center text-muted">No key has these words.</p>}
    </div>
  );
}

interface KeyRowProps {
  apiKey: Key;
  admin: boolean;
  spent?: { requests: number; cost_nanousd: number; unpriced: number };
  onIssued: (key: IssuedKey) => void;
}

function KeyRow({ apiKey: key, admin, spent, onIssued }: KeyRowProps) {
  return (
    <tr className={cn("border-b align-top last:border-b-0", key.status !== "active" && "text-muted")}>
      <td className="py-2.5 pl-4">
        <span className="font-medium">{key.label}</span> {key.role === "admin" && <Badge>admin</Badge>}
        <code className="block font-mono text-xs text-muted">{key.prefix}…</code>
      </td>
      <td className="px-3 py-2.5">
        {key.owner || "–"}
        {key.team && <span className="block text-xs text-muted">{key.team}</span>}
      </td>
      <td className="px-3 py-2.5">
        <Badge tone={tones[key.status]}>{key.status}</Badge>
        {key.grace_until && new Date(key.grace_until) > new Date() && (
          <span className="mt-0.5 block text-xs text-muted">
            old secret until <Time at={key.grace_until} />
          </span>
        )}
      </td>
      <td className="max-w-56 px-3 py-2.5">{key.models === null ? "all" : key.models.join(", ") || "none"}</td>
      <td className="px-3 py-2.5">
        <LimitList limits={key.limits} />
      </td>
      <td className="px-3 py-2.5">{key.expires_at ? <Time at={key.expires_at} /> : "never"}</td>
      <td className="px-3 py-2.5 whitespace-nowrap">
        {spent ? (
          <>
            {formatMoney(spent.cost_nanousd)}
            {spent.unpriced > 0 && " *"}
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

function LimitList({ limits }: { limits: Key["limits"] }) {
  const set = Object.entries(limits).filter(([, value]) => value !== null && value !== undefined);
  if (set.length === 0) return <span className="text-muted">as configured</span>;
  return set.map(([name, value]) => (
    <span key={name} className="block whitespace-nowrap">
      {formatNumber(value)} {name.replaceAll("_", " ")}
    </span>
  ));
}

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
