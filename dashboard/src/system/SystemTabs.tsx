import { PageTabs } from "@/ui/tabs";

const tabs = [
  { to: "/system", label: "State" },
  { to: "/system/checks", label: "Checks" },
  { to: "/system/explain", label: "Explain" },
] as const;

export const SystemTabs = () => <PageTabs label="Views of the system" tabs={tabs} />;
