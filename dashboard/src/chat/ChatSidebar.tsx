import { KeyRound, Search, SquarePen } from "lucide-react";
import { useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { chooseModelEvent, listen } from "@/lib/events";
import { shortcuts, useShortcut } from "@/lib/shortcuts";
import { Button } from "@/ui/button";
import { Input, Select } from "@/ui/field";
import { KeyDialog } from "./KeyDialog";
import { ModelPicker } from "./ModelPicker";
import { keyHint, useChatKey } from "./credentials";
import { useModels, useSelection } from "./models";
import { useStorageFault, useSummaries } from "./store";

const ConversationList = lazy(() => import("./ConversationList"));

/** What belongs to the chat in the sidebar: whom to ask, and what was asked. */
export function ChatSidebar() {
  const navigate = useNavigate();
  const [search, setSearch] = useState("");
  const searchBox = useRef<HTMLInputElement>(null);
  const summaries = useSummaries();
  const fault = useStorageFault();
  const newChat = () => void navigate({ to: "/" });
  useShortcut(shortcuts.newChat, newChat);
  useShortcut(shortcuts.searchChats, () => searchBox.current?.focus());
  return (
    <>
      <ModelSection />
      <div className="flex items-center gap-1.5 px-3 pt-1 pb-2">
        <div className="relative flex-1">
          <Search aria-hidden className="absolute top-2 left-2.5 size-4 text-muted" />
          <Input
            ref={searchBox}
            type="search"
            aria-label="Search conversations"
            placeholder="Search"
            className="h-8 pl-8"
            value={search}
            onChange={(event) => setSearch(event.target.value)}
          />
        </div>
        <Button size="sm" onClick={newChat} aria-label="New chat">
          <SquarePen /> New
        </Button>
      </div>
      {fault && (
        <p role="alert" className="mx-3 mb-2 rounded-lg bg-warning-soft px-3 py-2 text-[0.8125rem] text-warning">
          This browser keeps no conversations: {fault}
        </p>
      )}
      <Suspense>
        <ConversationList summaries={summaries} search={search} />
      </Suspense>
    </>
  );
}

function ModelSection() {
  const models = useModels();
  const selection = useSelection();
  const key = useChatKey();
  const [editingKey, setEditingKey] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const choose = () => box.current?.querySelector<HTMLInputElement>("input[role=combobox]")?.click();
  useShortcut(shortcuts.chooseModel, choose);
  useEffect(() => listen(chooseModelEvent, choose), []);
  const providers = useMemo(() => [...new Set(models.data?.map((m) => m.owned_by))].sort(), [models.data]);
  const shown = selection.provider ? models.data?.filter((m) => m.owned_by === selection.provider) : models.data;
  return (
    <div ref={box} className="space-y-2 px-3 py-3">
      <ModelPicker label="Model" value={selection.model} models={shown} onChange={selection.setModel} />
      <div className="flex gap-2">
        <Select
          aria-label="Provider"
          className="h-8 min-w-0 flex-1 px-2 text-[0.8125rem]"
          value={selection.provider ?? ""}
          onChange={(event) => selection.setProvider(event.target.value || null)}
        >
          <option value="">All providers</option>
          {providers.map((p) => (
            <option key={p}>{p}</option>
          ))}
        </Select>
        <Button size="sm" aria-label={key ? `Key, ${keyHint(key)}` : "Key, none"} onClick={() => setEditingKey(true)}>
          <KeyRound /> {key ? keyHint(key) : "Key"}
        </Button>
      </div>
      {models.isError && <p className="text-[0.8125rem] text-danger">The models could not be read: {models.error.message}</p>}
      <KeyDialog open={editingKey} onClose={() => setEditingKey(false)} />
    </div>
  );
}
