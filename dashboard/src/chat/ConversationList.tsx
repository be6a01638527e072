import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { Ellipsis, Pencil, Trash2 } from "lucide-react";
import { useState } from "react";
import { cn } from "@/lib/cn";
import { Button, IconButton } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field, Input } from "@/ui/field";
import { Skeleton } from "@/ui/feedback";
import { Menu, MenuItem } from "@/ui/menu";
import { stopAll } from "./actions";
import { ExportItems } from "./ExportMenu";
import { chats } from "./store";
import type { Summary } from "./types";

const day = 86_400_000;

/** The heading that a time stands under. */
function period(time: number, now: number): string {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  if (time >= midnight) return "Today";
  if (time >= midnight - day) return "Yesterday";
  if (time >= midnight - 7 * day) return "Last 7 days";
  return new Intl.DateTimeFormat(undefined, { month: "long", year: "numeric" }).format(time);
}

export function findConversations(summaries: readonly Summary[], search: string): Summary[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return summaries.filter((s) => words.every((w) => s.title.toLowerCase().includes(w) || s.text.toLowerCase().includes(w)));
}

export default function ConversationList({ summaries, search }: { summaries: readonly Summary[] | null; search: string }) {
  const { id: current } = useParams({ strict: false });
  if (!summaries) return <ListSkeleton />;
  const found = findConversations(summaries, search);
  if (found.length === 0) {
    return <p className="px-5 py-2 text-[0.8125rem] text-muted">{search ? "No conversation has these words." : "Your conversations will be here. They stay in this browser."}</p>;
  }
  const now = Date.now();
  return (
    <nav aria-label="Conversations" className="scroll-thin min-h-0 flex-1 overflow-y-auto px-2 pb-2">
      {[...Map.groupBy(found, (s) => period(s.updatedAt, now))].map(([heading, group]) => (
        <section key={heading}>
          <h2 className="px-2.5 pt-2 pb-1 text-xs font-medium text-muted">{heading}</h2>
          <ul>
            {group.map((s) => (
              <Row key={s.id} summary={s} current={s.id === current} />
            ))}
          </ul>
        </section>
      ))}
    </nav>
  );
}

function ListSkeleton() {
  return (
    <div className="space-y-2 px-4 py-2">
      <Skeleton className="h-5" />
      <Skeleton className="h-5 w-4/5" />
      <Skeleton className="h-5 w-3/5" />
    </div>
  );
}

function Row({ summary: { id, title }, current }: { summary: Summary; current: boolean }) {
  const [asking, setAsking] = useState<"rename" | "delete" | null>(null);
  const close = () => setAsking(null);
  return (
    <li className={cn("group relative flex rounded-lg hover:bg-hover", current && "bg-hover")}>
      <Link
        to="/chat/$id"
        params={{ id }}
        id={`title-of-${id}`}
        title={title}
        aria-current={current ? "page" : undefined}
        className="min-w-0 flex-1 truncate rounded-lg py-1.5 pr-8 pl-2.5"
      >
        {title}
      </Link>
      <div className="absolute top-0.5 right-0.5 opacity-0 group-focus-within:opacity-100 group-hover:opacity-100 has-[[data-state=open]]:opacity-100 max-lg:opacity-100">
        <Menu
          trigger={
            <IconButton label="Conversation options" aria-describedby={`title-of-${id}`} size="icon-sm">
              <Ellipsis />
            </IconButton>
          }
        >
          <MenuItem onSelect={() => setAsking("rename")}>
            <Pencil /> Rename
          </MenuItem>
          <ExportItems id={id} />
          <MenuItem danger onSelect={() => setAsking("delete")}>
            <Trash2 /> Delete
          </MenuItem>
        </Menu>
      </div>
      <RenameDialog open={asking === "rename"} id={id} title={title} onClose={close} />
      <DeleteDialog open={asking === "delete"} id={id} title={title} current={current} onClose={close} />
    </li>
  );
}

interface ConversationDialogProps {
  open: boolean;
  id: string;
  title: string;
  onClose: () => void;
}

function RenameDialog({ open, id, title, onClose }: ConversationDialogProps) {
  const [name, setName] = useState(title);
  const save = async () => {
    await chats.load(id);
    chats.update(id, (c) => ({ ...c, title: name.trim() || c.title, renamed: true }));
    onClose();
  };
  return (
    <Dialog open={open} onClose={onClose} title="Rename the conversation">
      <form
        className="space-y-4"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <Field label="Title">{(ids) => <Input {...ids} autoFocus value={name} maxLength={200} onChange={(event) => setName(event.target.value)} />}</Field>
        <div className="flex justify-end">
          <Button type="submit" variant="primary">
            Save
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function DeleteDialog({ open, id, title, current, onClose }: ConversationDialogProps & { current: boolean }) {
  const navigate = useNavigate();
  const remove = async () => {
    const conversation = chats.get(id);
    if (conversation) stopAll(conversation);
    if (current) await navigate({ to: "/" });
    await chats.remove(id);
  };
  return (
    <Dialog open={open} onClose={onClose} title="Delete this conversation?" description={`“${title}” is removed from this browser. That cannot be undone.`}>
      <div className="flex justify-end gap-2 pt-2">
        <Button onClick={onClose}>Keep it</Button>
        <Button variant="danger" onClick={() => void remove()}>
          Delete
        </Button>
      </div>
    </Dialog>
  );
}
