import { Link, useLocation } from "@tanstack/react-router";
import { ChartColumn, KeyRound, Keyboard, List, MessageSquare, Monitor, Moon, Plug, Server, Sun, Users, type LucideIcon } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { ChatSidebar } from "@/chat/ChatSidebar";
import { cn } from "@/lib/cn";
import { helpEvent, tell } from "@/lib/events";
import { useTheme, type Theme } from "@/lib/theme";
import { SignOutButton } from "@/session/SignIn";
import { isOutside, useSession } from "@/session/useSession";
import { IconButton } from "@/ui/button";

const ConnectPanel = lazy(() => import("@/chat/ConnectPanel"));

const pages: { to: string; label: string; icon: LucideIcon }[] = [
  { to: "/", label: "Chat", icon: MessageSquare },
  { to: "/usage", label: "Usage", icon: ChartColumn },
  { to: "/requests", label: "Requests", icon: List },
  { to: "/keys", label: "Keys", icon: KeyRound },
  { to: "/system", label: "System", icon: Server },
];

const people = { to: "/people", label: "People", icon: Users };

const isChat = (path: string) => path === "/" || path.startsWith("/chat");

export function Sidebar({ bare }: { bare?: boolean }) {
  const { pathname } = useLocation();
  const session = useSession().data;
  const admin = session?.role === "admin";
  return (
    <div className="flex h-full flex-col">
      {!bare && (
        <div className="flex h-14 shrink-0 items-center gap-2.5 px-4">
          <img src="/favicon.svg" alt="" className="size-6" />
          <span className="text-[0.9375rem] font-semibold tracking-tight">AI Gateway</span>
        </div>
      )}
      <nav aria-label="Main" className="px-2">
        <ul className="space-y-0.5">
          {[...pages, ...(admin ? [people] : [])].map(({ to, label, icon: Icon }) => {
            const current = to === "/" ? isChat(pathname) : pathname.startsWith(to);
            return (
              <li key={to}>
                <Link
                  to={to}
                  aria-current={current ? "page" : undefined}
                  className={cn("flex h-8 items-center gap-2.5 rounded-lg px-2.5 text-muted hover:bg-hover hover:text-foreground", current && "bg-hover font-medium text-foreground")}
                >
                  <Icon aria-hidden className={cn("size-4", current && "text-accent")} /> {label}
                </Link>
              </li>
            );
          })}
        </ul>
      </nav>
      <div className="mt-3 flex min-h-0 flex-1 flex-col border-t">{isChat(pathname) && !isOutside(session) && <ChatSidebar />}</div>
      <Footer />
    </div>
  );
}

const themes: Record<Theme, { next: Theme; label: string; icon: LucideIcon }> = {
  system: { next: "light", label: "Theme: as the system", icon: Monitor },
  light: { next: "dark", label: "Theme: light", icon: Sun },
  dark: { next: "system", label: "Theme: dark", icon: Moon },
};

function Footer() {
  const [theme, setTheme] = useTheme();
  const [connect, setConnect] = useState(false);
  const { next, label, icon: Icon } = themes[theme];
  return (
    <div className="flex shrink-0 items-center gap-1 border-t px-2 py-1.5">
      <button type="button" onClick={() => setConnect(true)} className="flex h-9 flex-1 items-center gap-2.5 rounded-lg px-2.5 text-muted hover:bg-hover hover:text-foreground">
        <Plug aria-hidden className="size-4" /> Connect
      </button>
      <SignOutButton />
      <IconButton label={label} onClick={() => setTheme(next)} className="text-muted">
        <Icon />
      </IconButton>
      <IconButton label="Keyboard shortcuts" onClick={() => tell(helpEvent)} className="text-muted max-lg:hidden">
        <Keyboard />
      </IconButton>
      <Suspense>{connect && <ConnectPanel open onClose={() => setConnect(false)} />}</Suspense>
    </div>
  );
}
