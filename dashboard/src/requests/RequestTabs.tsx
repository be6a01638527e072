import { PageTabs } from "@/ui/tabs";

const tabs = [
  { to: "/requests", label: "All" },
  { to: "/requests/prompts", label: "Prompt log" },
] as const;

/** The two views of what was asked: every request, and the texts that are kept. */
export const RequestTabs = () => <PageTabs label="Views of the requests" tabs={tabs} />;
