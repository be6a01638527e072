import { Lock, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { APIError } from "@/api/client";
import { cn } from "@/lib/cn";
import { Button } from "./button";

export function Skeleton({ className }: { className?: string }) {
  return <div aria-hidden className={cn("animate-pulse rounded-md bg-hover", className)} />;
}

/** What stands where nothing is: why, and what to do. */
export function Empty({ icon, title, children }: { icon?: ReactNode; title: string; children?: ReactNode }) {
  return (
    <div className="flex flex-col items-center px-6 py-14 text-center">
      {icon && <div className="mb-3 rounded-full bg-hover p-3 text-muted [&_svg]:size-5">{icon}</div>}
      <p className="font-medium">{title}</p>
      {children && <div className="mt-1 max-w-md text-muted">{children}</div>}
    </div>
  );
}

/** An error, and another try. */
export function Failure({ title, error, retry }: { title: string; error: unknown; retry?: () => void }) {
  return (
    <div role="alert" className="flex items-start gap-3 rounded-xl border border-danger/40 bg-danger-soft p-4">
      <TriangleAlert className="mt-0.5 size-4 shrink-0 text-danger" aria-hidden />
      <div className="min-w-0 flex-1">
        <p className="font-medium">{title}</p>
        <p className="mt-0.5 break-words">{error instanceof Error ? error.message : String(error)}</p>
      </div>
      {retry && (
        <Button size="sm" onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** What stands where something could not be read: it failed, or is not for this reader. */
export function Unreadable(props: { title: string; error: unknown; retry?: () => void }) {
  if (!(props.error instanceof APIError && props.error.status === 403)) return <Failure {...props} />;
  return (
    <Empty icon={<Lock />} title="For admins">
      {props.error.message}
    </Empty>
  );
}

const tones = {
  neutral: "bg-hover text-foreground",
  good: "bg-accent-soft text-accent-strong",
  warning: "bg-warning-soft text-warning",
  danger: "bg-danger-soft text-danger",
};

export type Tone = keyof typeof tones;

export function Badge({ tone = "neutral", children, title }: { tone?: Tone; children: ReactNode; title?: string }) {
  return (
    <span title={title} className={cn("inline-flex items-center gap-1 rounded-md px-1.5 py-0.5 text-xs font-medium whitespace-nowrap", tones[tone])}>
      {children}
    </span>
  );
}
