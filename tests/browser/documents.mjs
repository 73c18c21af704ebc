// Texts of real size.
import { lstatSync, readdirSync, readFileSync } from "node:fs";

const LICENCES = "/usr/share/common-licenses";

/** Every licence text that Debian puts on a machine, one after the other: more than 100 KB of prose. */
export function licences() {
  const joined = readdirSync(LICENCES)
    .sort()
    .map((name) => `${LICENCES}/${name}`)
    .filter((path) => !lstatSync(path).isSymbolicLink())
    .map((path) => readFileSync(path, "utf8").replaceAll("\r\n", "\n"))
    .join("\n\n");
  if (joined.length < 100_000) throw new Error("this machine lacks the licence texts of Debian's base-files");
  return joined;
}

/** The licences over and over, up to one MiB. */
export function oneMegabyte() {
  const text = licences();
  return text.repeat(Math.ceil((1024 * 1024) / text.length)).slice(0, 1024 * 1024);
}
