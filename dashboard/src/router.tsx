import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { ChatPage } from "./chat/ChatPage";
import { SignInPage } from "./session/SignIn";
import { NotFound, PageFailure, Shell } from "./shell/Shell";

/** Search parameters as they stand in the address; each page reads its own. */
export type Search = Record<string, string | undefined>;

const root = createRootRoute({
  component: Shell,
  notFoundComponent: NotFound,
  errorComponent: PageFailure,
  validateSearch: (search: Record<string, unknown>): Search => 
    Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined && value !== "").map(([name, value]) => [name, String(value)])),
});

const page = <P extends string>(path: P, load: () => Promise<Record<string, unknown>>, name: string) =>
  createRoute({ getParentRoute: () => root, path, component: lazyRouteComponent(load as never, name as never) });

const chat = createRoute({ getParentRoute: () => root, path: "/", component: () => <ChatPage id={null} /> });
const conversation = createRoute({
  getParentRoute: () => root,
  path: "/chat/$id",
  component: function Conversation() {
    return <ChatPage id={conversation.useParams().id} />;
  },
});

const tree = root.addChildren([
  chat,
  conversation,
  page("/usage", () => import("./usage/UsagePage"), "UsagePage"),
  page("/usage/limits", () => import("./limits/LimitsPage"), "LimitsPage"),
  page("/requests", () => import("./requests/RequestsPage"), "RequestsPage"),
  page("/requests/prompts", () => import("./requests/PromptsPage"), "PromptsPage"),
  page("/requests/$id", () => import("./requests/RequestPage"), "RequestPage"),
  page("/keys", () => import("./keys/KeysPage"), "KeysPage"),
  page("/system", () => import("./system/SystemPage"), "SystemPage"),
  page("/system/checks", () => import("./system/ChecksPage"), "ChecksPage"),
  page("/system/explain", () => import("./system/ExplainPage"), "ExplainPage"),
  page("/people", () => import("./people/PeoplePage"), "PeoplePage"),
  page("/account", () => import("./account/AccountPage"), "AccountPage"),
  createRoute({ getParentRoute: () => root, path: "/sign-in", component: SignInPage }),
]);

/** Search parameters are plain strings: people read and share them. */
const parseSearch = (text: string) => Object.fromEntries(new URLSearchParams(text));
const stringifySearch = (search: Record<string, unknown>) => {
  const set = Object.entries(search).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(set.map(([name, value]) => [name, String(value)])).toString();
  return text ? `?${text}` : "";
};

export const router = createRouter({ routeTree: tree, defaultPreload: "intent", parseSearch, stringifySearch, scrollRestoration: false });

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
