import { Check, ChevronsUpDown, Star } from "lucide-react";
import { useEffect, useId, useRef, useState, type KeyboardEvent } from "react";
import { cn } from "@/lib/cn";
import { fieldStyle } from "@/ui/field";
import { searchModels, useFavourites, type Model } from "./models";

interface ModelPickerProps {
  label: string;
  value: string;
  models: readonly Model[] | undefined;
  onChange: (id: string) => void;
  className?: string;
}

const optionStyle = "flex items-center gap-2 rounded-lg px-2 py-1.5";

/** A combobox that searches the models; a name that is not listed may be typed, too. */
export function ModelPicker({ label, value, models = [], onChange, className }: ModelPickerProps) {
  const id = useId();
  const [search, setSearch] = useState<string | null>(null); // null while it is closed
  const [active, setActive] = useState(0);
  const [favourites, toggleFavourite] = useFavourites();
  const list = useRef<HTMLUListElement>(null);
  const open = search !== null;
  const { found, more, typed } = searchModels(models, favourites, search ?? "");
  const options = [...found.map((m) => m.id), ...(typed ? [typed] : [])];

  useEffect(() => {
    list.current?.querySelector(`[data-index="${active}"]`)?.scrollIntoView({ block: "nearest" });
  }, [active, open]);

  const show = (text: string) => {
    setSearch(text);
    setActive(text ? 0 : Math.max(0, found.findIndex((m) => m.id === value)));
  };
  const choose = (model: string | undefined) => {
    if (model) onChange(model);
    setSearch(null);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      if (!open) show("");
      else setActive((active + step + options.length) % Math.max(1, options.length));
    } else if (event.key === "Enter" && open) {
      event.preventDefault();
      choose(options[active]);
    } else if (event.key === "Escape" && open) {
      event.preventDefault();
      event.stopPropagation();
      setSearch(null);
    }
  };

  return (
    <div className={cn("relative", className)}>
      <input
        role="combobox"
        aria-label={label}
        aria-expanded={open}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={open && options.length > 0 ? `${id}-${active}` : undefined}
        autoComplete="off"
        spellCheck={false}
        placeholder={open ? "Search models" : "Choose a model"}
        className={cn(fieldStyle, "h-9 truncate pr-8 font-medium")}
        value={search ?? value}
        onChange={(event) => show(event.target.value)}
        onFocus={(event) => event.target.select()}
        onClick={() => !open && show("")}
        onBlur={() => setSearch(null)}
        onKeyDown={onKeyDown}
      />
      <ChevronsUpDown aria-hidden className="pointer-events-none absolute top-2.5 right-2.5 size-4 text-muted" />
      <ul
        ref={list}
        id={`${id}-list`}
        role="listbox"
        aria-label={`${label} list`}
        hidden={!open}
        className="scroll-thin absolute inset-x-0 top-full z-40 mt-1 max-h-80 overflow-y-auto rounded-xl border bg-raised p-1 shadow-lg"
        onMouseDown={(event) => event.preventDefault()} // the input keeps the focus
      >
        {found.map((m, index) => (
          <li
            key={m.id}
            id={`${id}-${index}`}
            data-index={index}
            role="option"
            aria-selected={m.id === value}
            aria-label={`${m.id}, ${m.owned_by}${favourites.has(m.id) ? ", favourite" : ""}`}
            onClick={() => choose(m.id)}
            onMouseMove={() => setActive(index)}
            className={cn(optionStyle, index === active && "bg-hover")}
          >
            <span className="min-w-0 flex-1">
              <span className="block truncate">{m.id}</span>
              <span className="block truncate text-xs text-muted">{m.owned_by}</span>
            </span>
            {m.id === value && <Check aria-hidden className="size-4 text-accent" />}
            <Star
              aria-hidden
              className={cn("size-4 shrink-0", favourites.has(m.id) ? "fill-current text-warning" : "text-line-strong hover:text-foreground")}
              onClick={(event) => {
                event.stopPropagation();
                toggleFavourite(m.id);
              }}
            />
          </li>
        ))}
        {typed && (
          <li
            id={`${id}-${found.length}`}
            data-index={found.length}
            role="option"
            aria-selected={false}
            onClick={() => choose(typed)}
            onMouseMove={() => setActive(found.length)}
            className={cn(optionStyle, active === found.length && "bg-hover")}
          >
            Use “{typed}”
          </li>
        )}
        {more > 0 && <li role="option" aria-disabled aria-selected={false} className={cn(optionStyle, "text-muted")}>{more} more: type a part of the name</li>}
        {options.length === 0 && <li role="option" aria-disabled aria-selected={false} className={cn(optionStyle, "text-muted")}>No model is listed: type its name</li>}
      </ul>
    </div>
  );
}
