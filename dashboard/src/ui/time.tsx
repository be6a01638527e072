import { formatAgo, formatDay, formatTime, zoneName } from "@/lib/format";
import { useZone } from "@/lib/zone";

/** A time in the reader's zone, with the other forms of it on hover. */
export function Time({ at, ago, day }: { at: string; ago?: boolean; day?: boolean }) {
  const [zone] = useZone();
  return (
    <time dateTime={at} title={`${formatTime(at, zone)} ${zoneName(zone)} (${at})`} className="whitespace-nowrap">
      {ago ? formatAgo(at) : day ? formatDay(at, zone) : formatTime(at, zone)}
    </time>
  );
}
