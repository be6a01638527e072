import { FileDown } from "lucide-react";
import type { Separator } from "@/lib/csv";
import { Button } from "./button";
import { Menu, MenuItem } from "./menu";

/** Offers a table in the two forms that spreadsheets read. */
export function CSVMenu({ onSave, disabled }: { onSave: (separator: Separator) => void; disabled?: boolean }) {
  return (
    <Menu
      trigger={
        <Button size="sm" disabled={disabled}>
          <FileDown /> CSV
        </Button>
      }
    >
      <MenuItem onSelect={() => onSave(",")}>With commas</MenuItem>
      <MenuItem onSelect={() => onSave(";")}>With semicolons, and commas in numbers</MenuItem>
    </Menu>
  );
}
