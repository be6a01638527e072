import { Columns2, SlidersHorizontal, X } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { formatMoney, formatNumber } from "@/lib/format";
import { tell, chooseModelEvent } from "@/lib/events";
import { Button, IconButton } from "@/ui/button";
import { ModelPicker } from "./ModelPicker";
import { useModels, type useSelection } from "./models";
import { SettingsDialog } from "./SettingsDialog";
import { totalsOf } from "./totals";
import type { Conversation } from "./types";

const ExportMenu = lazy(() => import("./ExportMenu"));

interface ChatHeaderProps {
  conversation: Conversation | null;
  selection: ReturnType<typeof useSelection>;
}

export function ChatHeader({ conversation, selection }: ChatHeaderProps) {
  const models = useModels().data;
  const [settings, setSettings] = useState(false);
  const comparing = selection.compareWith !== null;
  const other = () => models?.find((m) => m.id !== selection.model)?.id ?? selection.model;
  return (
    <header className="flex min-h-14 shrink-0 flex-wrap items-center gap-x-2 gap-y-1.5 border-b px-4 py-2">
      <div className="min-w-24 flex-1">
        <h1 className="truncate font-semibold">{conversation?.title ?? "New chat"}</h1>
        <Totals conversation={conversation} />
      </div>
      <Button size="sm" variant="ghost" className="max-w-32 lg:hidden" aria-label={`Change the model, ${selection.model}`} onClick={() => tell(chooseModelEvent)}>
        <span className="truncate">{selection.model || "No model"}</span>
      </Button>
      {comparing && (
        <div className="flex items-center gap-1">
          <ModelPicker className="w-44 max-sm:w-36" label="Compare with" value={selection.compareWith ?? ""} models={models} onChange={selection.setCompareWith} />
          <IconButton label="One model alone" size="icon-sm" onClick={() => selection.setCompareWith(null)}>
            <X />
          </IconButton>
        </div>
      )}
      {!comparing && (
        <IconButton label="Compare two models" onClick={() => selection.setCompareWith(other())}>
          <Columns2 />
        </IconButton>
      )}
      <IconButton label="Settings of this chat" onClick={() => setSettings(true)}>
        <SlidersHorizontal />
      </IconButton>
      {conversation && (
        <Suspense fallback={<span className="size-9" />}>
          <ExportMenu id={conversation.id} />
        </Suspense>
      )}
      <SettingsDialog open={settings} onClose={() => setSettings(false)} conversation={conversation} />
    </header>
  );
}

/** What the conversation cost, as far as the gateway has recorded it. */
function Totals({ conversation }: { conversation: Conversation | null }) {
  if (!conversation) return null;
  const { tokens, costNano, unpriced } = totalsOf(conversation);
  return (
    <p className="figures truncate text-xs text-muted">
      {formatNumber(tokens)} tokens · {formatMoney(costNano)}
      {unpriced > 0 && ` · ${unpriced} without a price`}
    </p>
  );
}
