import { Link, useLocation } from "@tanstack/react-router";
import { cn } from "@/lib/cn";

const tabs = [
  { to: "/requests", label: "All" },
  { to: "/requests/prompts", label: "Prompt log" },
] as const;

/** The two views of what was asked: every request, and the texts that are kept. */
export function RequestTabs() {
  const { pathname } = useLocation();
  return (
    <nav aria-label="Views of the requests" className="inline-flex rounded-lg border border-line-strong/60 p-0.5">
      {tabs.map(({ to, label }) => (
        <Link key={to} to={to} aria-current={pathname === to ? "page" : undefined} className={cn("rounded-md px-2.5 py-1 text-[0.8125rem] text-muted hover:text-foreground", pathname === to && "bg-hover font-medium text-foreground")}>
          {label}
        </Link>
      ))}
    </nav>
  );
}
