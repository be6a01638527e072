import type { Zone } from "./format";
import { useLocal } from "./local";

/** The zone that this reader wants times in: their own, or UTC on demand. */
export function useZone(): [Zone, (zone: Zone) => void] {
  const [stored, store] = useLocal("zone");
  return [stored === "utc" ? "utc" : "local", (zone) => store(zone === "utc" ? "utc" : null)];
}
