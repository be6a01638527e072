import { Link, Outlet, useLocation } from "@tanstack/react-router";
import { Menu as MenuIcon } from "lucide-react";
import { useEffect, useState } from "react";
import { chooseModelEvent, helpEvent, listen } from "@/lib/events";
import { shortcuts, useShortcut } from "@/lib/shortcuts";
import { useTheme } from "@/lib/theme";
import { useVisibleHeight } from "@/lib/viewport";
import { Gate } from "@/session/SignIn";
import { Button, IconButton } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Empty, Failure } from "@/ui/feedback";
import { GatewayAway } from "./GatewayAway";
import { HelpSheet } from "./HelpSheet";
import { Sidebar } from "./Sidebar";

const wide = () => matchMedia("(min-width: 64rem)");

/** Whether there is room for the sidebar next to the page. */
function useWide() {
  const [isWide, setWide] = useState(() => wide().matches);
  useEffect(() => {
    const query = wide();
    const follow = () => setWide(query.matches);
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, []);
  return isWide;
}

export function Shell() {
  const isWide = useWide();
  const [drawer, setDrawer] = useState(false);
  const [help, setHelp] = useState(false);
  const { pathname } = useLocation();
  useTheme();
  useVisibleHeight();
  useShortcut(shortcuts.help, () => setHelp(true));
  useEffect(() => listen(helpEvent, () => setHelp(true)), []);
  useEffect(() => listen(chooseModelEvent, () => setDrawer(true)), []);
  useEffect(() => setDrawer(false), [pathname]);
  return (
    <div className="flex h-[var(--app-height,100dvh)] flex-col">
      <a href="#main" className="sr-only focus:not-sr-only focus:absolute focus:z-50 focus:m-2 focus:rounded-lg focus:bg-raised focus:px-3 focus:py-2">
        Skip to the page
      </a>
      <GatewayAway />
      <div className="flex min-h-0 flex-1">
        {isWide && (
          <aside aria-label="Sidebar" className="w-68 shrink-0 border-r bg-sidebar">
            <Sidebar />
          </aside>
        )}
        <div className="flex min-w-0 flex-1 flex-col">
          {!isWide && (
            <header className="flex h-12 shrink-0 items-center gap-1 border-b bg-sidebar px-2">
              <IconButton label="Open the sidebar" onClick={() => setDrawer(true)}>
                <MenuIcon />
              </IconButton>
              <span className="font-semibold">AI Gateway</span>
            </header>
          )}
          <main id="main" tabIndex={-1} className="min-h-0 flex-1 outline-none">
            <Gate>
              <Outlet />
            </Gate>
          </main>
        </div>
      </div>
      {!isWide && (
        <Dialog open={drawer} onClose={() => setDrawer(false)} title="AI Gateway" side="left" className="[&>div>header+div]:px-0 [&>div>header+div]:pb-0">
          <Sidebar bare />
        </Dialog>
      )}
      <HelpSheet open={help} onClose={() => setHelp(false)} />
    </div>
  );
}

export function NotFound() {
  return (
    <Empty title="This page does not exist">
      <Link to="/" className="text-accent-strong underline">
        To the chat
      </Link>
    </Empty>
  );
}

export function PageFailure({ error, reset }: { error: unknown; reset: () => void }) {
  return (
    <div className="mx-auto max-w-2xl space-y-4 p-6">
      <Failure title="This page could not be shown" error={error} retry={reset} />
      <Button onClick={() => location.reload()}>Load the page again</Button>
    </div>
  );
}
