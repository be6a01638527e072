import { X } from "lucide-react";
import { formatTime, zoneName } from "@/lib/format";
import { defaultRange, ranges, type RangeSearch } from "@/lib/range";
import { useZone } from "@/lib/zone";
import { Button } from "./button";
import { Select } from "./field";
import { Segments } from "./page";

interface RangePickerProps {
  search: RangeSearch;
  onChange: (change: RangeSearch) => void;
}

/** Chooses a span of time and the zone that days are of. */
export function RangePicker({ search, onChange }: RangePickerProps) {
  const [zone, setZone] = useZone();
  const fixed = search.from && search.to;
  return (
    <div className="flex flex-wrap items-center gap-2">
      {fixed ? (
        <Button size="sm" onClick={() => onChange({ from: undefined, to: undefined })} aria-label="Leave this span of time">
          {formatTime(search.from!, zone, false)} – {formatTime(search.to!, zone, false)} <X />
        </Button>
      ) : (
        <RangeChoice value={search.range ?? defaultRange} onChange={(range) => onChange({ range: range === defaultRange ? undefined : range })} />
      )}
      <Button size="sm" variant="ghost" className="text-muted" onClick={() => setZone(zone === "utc" ? "local" : "utc")} title={zone === "utc" ? "Show my own time" : "Show UTC"}>
        {zoneName(zone)}
      </Button>
    </div>
  );
}

/** All ranges in sight, or a list on a phone. */
function RangeChoice({ value, onChange }: { value: string; onChange: (range: string) => void }) {
  return (
    <>
      <span className="max-sm:hidden">
        <Segments label="Range" value={value} options={ranges} onChange={onChange} />
      </span>
      <Select aria-label="Range" className="h-8 w-auto text-[0.8125rem] sm:hidden" value={value} onChange={(event) => onChange(event.target.value)}>
        {ranges.map(({ name, label }) => (
          <option key={name} value={name}>
            {label}
          </option>
        ))}
      </Select>
    </>
  );
}
