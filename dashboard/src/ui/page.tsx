import { useEffect, type ReactNode } from "react";
import { cn } from "@/lib/cn";

interface PageProps {
  title: string;
  actions?: ReactNode;
  children: ReactNode;
  /** Whether the content scrolls by itself, within the height that is left. */
  fixed?: boolean;
}

export function Page({ title, actions, children, fixed }: PageProps) {
  useEffect(() => {
    document.title = `${title} – AI Gateway`;
  }, [title]);
  return (
    <div className={cn("flex h-full flex-col", !fixed && "scroll-thin overflow-y-auto")}>
      <header className="flex min-h-14 shrink-0 flex-wrap items-center gap-x-3 gap-y-2 border-b px-4 py-2 sm:px-6">
        <h1 className="mr-auto text-base font-semibold">{title}</h1>
        {actions}
      </header>
      <div className={cn("w-full px-4 py-5 sm:px-6", fixed ? "flex min-h-0 flex-1 flex-col" : "mx-auto max-w-7xl")}>{children}</div>
    </div>
  );
}

export function Card({ title, actions, children, className }: { title?: ReactNode; actions?: ReactNode; children: ReactNode; className?: string }) {
  return (
    <section className={cn("min-w-0 rounded-xl border bg-surface", className)}>
      {title && (
        <header className="flex min-h-11 flex-wrap items-center gap-2 px-4 pt-2.5">
          <h2 className="mr-auto font-semibold">{title}</h2>
          {actions}
        </header>
      )}
      {children}
    </section>
  );
}

/** A choice of one of a few, all of them in sight. */
export function Segments<T extends string>({ label, value, options, onChange }: { label: string; value: T; options: readonly { name: T; label: string }[]; onChange: (value: T) => void }) {
  return (
    <div role="radiogroup" aria-label={label} className="inline-flex rounded-lg border border-line-strong/60 p-0.5">
      {options.map((o) => (
        <label key={o.name} className={cn("cursor-pointer rounded-md px-2.5 py-1 text-[0.8125rem] text-muted has-[:focus-visible]:outline-2 has-[:focus-visible]:outline-accent", o.name === value && "bg-hover font-medium text-foreground")}>
          <input type="radio" className="sr-only" name={label} checked={o.name === value} onChange={() => onChange(o.name)} />
          {o.label}
        </label>
      ))}
    </div>
  );
}
