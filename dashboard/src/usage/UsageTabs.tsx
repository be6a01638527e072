import { PageTabs } from "@/ui/tabs";

const tabs = [
  { to: "/usage", label: "Over time" },
  { to: "/usage/limits", label: "Limits and budgets" },
] as const;

/** The two views of usage: what was used, and what is left. */
export const UsageTabs = () => <PageTabs label="Views of the usage" tabs={tabs} />;
