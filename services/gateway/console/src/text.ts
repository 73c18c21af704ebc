// Cuts texts to the sizes that the API takes.

/** The most that one message may hold, in bytes of UTF-8. */
export const MESSAGE_BYTES_MAX = 2_097_152;
/** The most that one summary may be made of, in bytes of UTF-8. */
export const SUMMARY_BYTES_MAX = 4_190_208;

const encoder = new TextEncoder();
// Else a piece that begins with U+FEFF would lose it.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The length of a text in bytes of UTF-8. */
export function byteLength(text: string): number {
  return encoder.encode(text).length;
}

/**
 * A text in pieces of at most `bytesMax` bytes, which joined are the text again. A piece ends after a line feed where
 * one stands in its second half, and never within a character.
 */
export function pieces(text: string, bytesMax: number): string[] {
  const source = encoder.encode(text);
  const found: string[] = [];
  let start = 0;
  while (start < source.length) {
    let end = Math.min(start + bytesMax, source.length);
    if (end < source.length) {
      const line = source.lastIndexOf(0x0a, end - 1);
      if (line >= start + bytesMax / 2) {
        end = line + 1;
      } else {
        // 0b10xxxxxx goes on with a character that began before (RFC 3629, section 3).
        while (((source[end] ?? 0) & 0xc0) === 0x80) end -= 1;
      }
    }
    found.push(decoder.decode(source.subarray(start, end)));
    start = end;
  }
  return found;
}

/** A title out of a text's first line that says something, without the characters that titles may not have. */
export function titleFrom(text: string): string {
  const line = text
    .slice(0, 4096)
    .split("\n")
    .map((candidate) => candidate.replace(/[\p{C}<>]/gu, " ").replace(/\s+/g, " ").trim())
    .find((candidate) => candidate !== "");
  return Array.from(line ?? "Untitled").slice(0, 80).join("");
}
