// The console's own arithmetic, and what its source must never do. Needs no platform.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { test } from "node:test";

const CONSOLE = new URL("../../services/gateway/console/", import.meta.url).pathname;
const { build } = createRequire(CONSOLE)("esbuild");

async function load(module) {
  const bundled = await build({ entryPoints: [`${CONSOLE}src/${module}`], bundle: true, format: "esm", write: false });
  return import(`data:text/javascript;base64,${Buffer.from(bundled.outputFiles[0].contents).toString("base64")}`);
}

const { pieces, titleFrom, byteLength } = await load("text.ts");
const { parseServerTiming } = await load("calls.ts");
const { fault } = await load("faults.ts");

test("pieces join to the text, keep to the limit and split no character", () => {
  const text = `${"häuser\n".repeat(50)}${"🌍".repeat(60)}${"x".repeat(200)}`;
  for (const limit of [4, 5, 7, 64, 100, 10_000]) {
    const found = pieces(text, limit);
    assert.equal(found.join(""), text, `limit ${limit}`);
    assert.ok(found.every((piece) => byteLength(piece) <= limit), `limit ${limit}`);
  }
});

test("a piece ends after a line where it can", () => {
  assert.deepEqual(pieces("one two\nthree\nfour", 10), ["one two\n", "three\nfour"]);
});

test("no text is no piece", () => {
  assert.deepEqual(pieces("", 10), []);
});

test("a byte order mark survives", () => {
  assert.equal(pieces("\ufeffone\ntwo", 5).join(""), "\ufeffone\ntwo");
});

test("a title is the first line that says something, without what titles may not have", () => {
  assert.equal(titleFrom("\n\n  <b>Plan\u202e</b>\nmore"), "b Plan /b");
  assert.equal(titleFrom("\n \n"), "Untitled");
  assert.equal(titleFrom("🌍".repeat(500)).length, 160);
});

test("server timings are read as the gateway writes them", () => {
  assert.deepEqual(parseServerTiming('edge;dur=1.50, upstream;dur=10.50;desc="context"'), {
    edgeMs: 1.5,
    upstreamMs: 10.5,
    upstream: "context",
  });
  assert.deepEqual(parseServerTiming(""), {});
  assert.deepEqual(parseServerTiming("edge, upstream;dur=soon, other;dur=3"), {});
});

test("what is no status still becomes words", () => {
  const told = fault(new Error("odd"));
  assert.equal(told.code, "UNKNOWN");
  assert.equal(told.words, "odd");
  assert.equal(told.requestId, "");
  assert.notEqual(told.advice, "");
});

test("the source never makes markup of text, keeps no token and runs no strings", async () => {
  const banned = /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|localStorage|sessionStorage|document\.cookie/;
  const sources = (await readdir(`${CONSOLE}src`)).filter((name) => name.endsWith(".ts"));
  assert.ok(sources.length > 5);
  for (const name of sources) {
    assert.doesNotMatch(await readFile(`${CONSOLE}src/${name}`, "utf8"), banned, name);
  }
});
