// Numbers, times and texts as people read them.

const whole = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const minute = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" });

/** `1,234`. */
export function count(value: number | bigint): string {
  return whole.format(value);
}

/** `1 message`, `2 messages`. */
export function plural(value: number | bigint, one: string): string {
  return `${count(value)} ${one}${Number(value) === 1 ? "" : "s"}`;
}

/** `0.4 ms`, `37 ms`, `1.25 s`. */
export function duration(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return ms >= 10 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(1)} ms`;
}

/** `812 B`, `34 KiB`, `1.5 MiB`. */
export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  if (value < 1024 * 1024) return `${(value / 1024).toFixed(0)} KiB`;
  return `${(value / 1024 / 1024).toFixed(1)} MiB`;
}

/** The time of day, to the second. */
export function timeOfDay(at: Date): string {
  return clock.format(at);
}

/** The time of day, to the minute. */
export function hourAndMinute(at: Date): string {
  return minute.format(at);
}

/** Date and time. */
export function dateAndTime(at: Date): string {
  return day.format(at);
}
