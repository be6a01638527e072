import { X } from "lucide-react";
import { formatTime, zoneName } from "@/lib/format";
import { defaultRange, ranges, type RangeSearch } from "@/lib/range";
import { useZone } from "@/lib/zone";
import { Button } from "./button";
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
        <Segments label="Range" value={search.range ?? defaultRange} options={ranges} onChange={(range) => onChange({ range: range === defaultRange ? undefined : range })} />
      )}
      <Button size="sm" variant="ghost" className="text-muted" onClick={() => setZone(zone === "utc" ? "local" : "utc")} title={zone === "utc" ? "Show my own time" : "Show UTC"}>
        {zoneName(zone)}
      </Button>
    </div>
  );
}
