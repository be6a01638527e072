import { Check, ChevronRight, ListFilter, X } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import { useState } from "react";
import { useKeys } from "@/keys/useKeys";
import { formatCompact } from "@/lib/format";
import { Button } from "@/ui/button";
import { Menu, menuItemStyle, menuStyle } from "@/ui/menu";
import { dimensions, filtersOf, type Dimension } from "./dimensions";
import { useChoices } from "./useChoices";

interface FilterBarProps {
  search: Record<string, string | undefined>;
  setSearch: (change: Record<string, string | undefined>) => void;
  /** The time whose values are offered. */
  span: { from: string; to?: string };
}

/** The filters in force, each to be taken back, and a menu with what else requests can be filtered by. */
export function FilterBar({ search, setSearch, span }: FilterBarProps) {
  const filters = filtersOf(search);
  return (
    <>
      <Menu
        align="start"
        trigger={
          <Button size="sm">
            <ListFilter /> Filter
          </Button>
        }
      >
        {dimensions.map(({ name, label }) => (
          <Choices key={name} dimension={name} label={label} span={span} value={filters[name]} onChoose={(value) => setSearch({ [name]: value })} />
        ))}
      </Menu>
      {dimensions.map(({ name, label }) => filters[name] && <Chip key={name} name={name} label={label} value={filters[name]} onRemove={() => setSearch({ [name]: undefined })} />)}
    </>
  );
}

function Chip({ name, label, value, onRemove }: { name: Dimension; label: string; value: string; onRemove: () => void }) {
  const key = useKeys().data?.find((k) => name === "key" && k.id === value);
  return (
    <Button size="sm" className="max-w-72 border-accent/50 bg-accent-soft text-accent-strong" onClick={onRemove} aria-label={`Take back the filter ${name}`} title={value}>
      <span className="truncate">
        {label}: {key?.label ?? value}
      </span>
      <X />
    </Button>
  );
}

interface ChoicesProps {
  dimension: Dimension;
  label: string;
  span: FilterBarProps["span"];
  value: string | undefined;
  onChoose: (value: string | undefined) => void;
}

/** The values of one dimension, read when somebody looks at them. */
function Choices({ dimension, label, span, value, onChoose }: ChoicesProps) {
  const [open, setOpen] = useState(false);
  const choices = useChoices(dimension, span, open);
  return (
    <DropdownMenu.Sub open={open} onOpenChange={setOpen}>
      <DropdownMenu.SubTrigger className={menuItemStyle}>
        {label}
        <ChevronRight aria-hidden className="ml-auto" />
      </DropdownMenu.SubTrigger>
      <DropdownMenu.Portal>
        <DropdownMenu.SubContent sideOffset={2} className={`${menuStyle} scroll-thin max-h-80 max-w-80 overflow-y-auto`}>
          {choices.isPending && <p className="px-2.5 py-1.5 text-muted">Reading</p>}
          {choices.isError && <p className="px-2.5 py-1.5 text-danger">{choices.error.message}</p>}
          {choices.data?.length === 0 && <p className="px-2.5 py-1.5 text-muted">None in this time</p>}
          {choices.data?.map((c) => (
            <DropdownMenu.Item key={c.value} className={menuItemStyle} onSelect={() => onChoose(c.value === value ? undefined : c.value)}>
              <span className="min-w-0 flex-1 truncate" title={c.value}>
                {c.label}
              </span>
              {c.value === value && <Check aria-label="in force" />}
              <span className="figures text-xs text-muted">{formatCompact(c.requests)}</span>
            </DropdownMenu.Item>
          ))}
        </DropdownMenu.SubContent>
      </DropdownMenu.Portal>
    </DropdownMenu.Sub>
  );
}
