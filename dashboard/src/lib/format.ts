/** Numbers, money and times as people read them, in the reader's locale. */

const nanoPerUSD = 1_000_000_000;

const whole = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });

export const formatNumber = (n: number) => whole.format(n);
export const formatCompact = (n: number) => (Math.abs(n) < 10_000 ? whole.format(n) : short.format(n));

/**
 * Nano-dollars as money. Parts of a cent are shown as far as they say something;
 * null is a price that nobody knows, which is not nothing.
 */
export function formatMoney(nano: number | null | undefined): string {
  if (nano === null || nano === undefined) return "price unknown";
  const usd = nano / nanoPerUSD;
  const size = Math.abs(usd);
  const digits = size === 0 || size >= 1 ? 2 : size >= 0.01 ? 4 : 6;
  if (size > 0 && size < 0.000001) return `< ${money(0.000001, 6)}`;
  return money(usd, digits);
}

/** Nano-dollars on an axis, all with as many digits as its step has. */
export function formatTick(nano: number, step = nanoPerUSD): string {
  const digits = Math.min(9, Math.max(2, Math.ceil(-Math.log10(step / nanoPerUSD) - 0.000_001)));
  return money(nano / nanoPerUSD, digits, digits);
}

function money(usd: number, digits: number, least = 2) {
  return new Intl.NumberFormat(undefined, {
    style: "currency",
    currency: "USD",
    currencyDisplay: "narrowSymbol",
    minimumFractionDigits: least,
    maximumFractionDigits: digits,
  }).format(usd);
}

/** Milliseconds as a length of time: "840 ms", "3.2 s", "2 min 5 s". */
export function formatDuration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${new Intl.NumberFormat(undefined, { maximumFractionDigits: ms < 10_000 ? 2 : 1 }).format(ms / 1000)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let n = bytes;
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${new Intl.NumberFormat(undefined, { maximumFractionDigits: unit === 0 ? 0 : 1 }).format(n)} ${units[unit]}`;
}

export type Zone = "local" | "utc";

/** The name of the zone that times are shown in. */
export const zoneName = (zone: Zone) => (zone === "utc" ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone);

export function formatTime(time: string | number | Date, zone: Zone = "local", seconds = true): string {
  const of = new Date(time);
  return new Intl.DateTimeFormat(undefined, {
    year: of.getFullYear() === new Date().getFullYear() ? undefined : "numeric",
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: seconds ? "2-digit" : undefined,
    timeZone: zone === "utc" ? "UTC" : undefined,
  }).format(of);
}

/** The day of a time, with its year: "28 Feb 2027". */
export const formatDay = (time: string | number | Date, zone: Zone = "local"): string =>
  new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: zone === "utc" ? "UTC" : undefined }).format(new Date(time));

/** How long ago or ahead, in words: "just now", "5 minutes ago", "in 40 seconds", "yesterday". */
export function formatAgo(time: string | number | Date, now = Date.now()): string {
  const seconds = Math.round((now - new Date(time).getTime()) / 1000);
  const words = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
  const far = Math.abs(seconds);
  if (seconds >= 0 && far < 45) return "just now";
  if (far < 45) return words.format(far, "second");
  if (far < 45 * 60) return words.format(-Math.round(seconds / 60), "minute");
  if (far < 22 * 3600) return words.format(-Math.round(seconds / 3600), "hour");
  return words.format(-Math.round(seconds / 86_400), "day");
}
