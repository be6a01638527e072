import { formatAgo, formatTime, zoneName } from "@/lib/format";
import { useZone } from "@/lib/zone";

/** A time in the reader's zone, with the other forms of it on hover. */
export function Time({ at, ago }: { at: string; ago?: boolean }) {
  const [zone] = useZone();
  return (
    <time dateTime={at} title={`${formatTime(at, zone)} ${zoneName(zone)} (${at})`} className="whitespace-nowrap">
      {ago ? formatAgo(at) : formatTime(at, zone)}
    </time>
  );
}
