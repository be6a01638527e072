import { Link, useLocation } from "@tanstack/react-router";
import { cn } from "@/lib/cn";

/** Links to the views of a page, of which one is shown. */
export function PageTabs({ label, tabs }: { label: string; tabs: readonly { to: string; label: string }[] }) {
  const { pathname } = useLocation();
  return (
    <nav aria-label={label} className="inline-flex rounded-lg border border-line-strong/60 p-0.5">
      {tabs.map(({ to, label }) => (
        <Link
          key={to}
          to={to}
          aria-current={pathname === to ? "page" : undefined}
          className={cn("rounded-md px-2.5 py-1 text-[0.8125rem] whitespace-nowrap text-muted hover:text-foreground", pathname === to && "bg-hover font-medium text-foreground")}
        >
          {label}
        </Link>
      ))}
    </nav>
  );
}
