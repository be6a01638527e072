import { Braces, Download, FileText } from "lucide-react";
import { download } from "@/lib/download";
import { IconButton } from "@/ui/button";
import { Menu, MenuItem } from "@/ui/menu";
import { fileName, toJSON, toMarkdown } from "./export";
import { chats } from "./store";
import type { Conversation } from "./types";

/** The two formats that a conversation is exported in. */
export function ExportItems({ id }: { id: string }) {
  const save = async (extension: string, type: string, write: (c: Conversation) => string) => {
    await chats.load(id);
    const conversation = chats.get(id);
    if (conversation) download(fileName(conversation.title, extension), type, write(conversation));
  };
  return (
    <>
      <MenuItem onSelect={() => void save("md", "text/markdown", toMarkdown)}>
        <FileText /> Export as Markdown
      </MenuItem>
      <MenuItem onSelect={() => void save("json", "application/json", toJSON)}>
        <Braces /> Export as JSON
      </MenuItem>
    </>
  );
}

export default function ExportMenu({ id }: { id: string }) {
  return (
    <Menu
      trigger={
        <IconButton label="Export">
          <Download />
        </IconButton>
      }
    >
      <ExportItems id={id} />
    </Menu>
  );
}
