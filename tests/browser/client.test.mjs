// What an application's own page meets: @connectrpc/connect-web with generated stubs, in a real browser.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { openConsole, startBrowser } from "./browser.mjs";
import { licences, oneMegabyte } from "./documents.mjs";
import { startPlatform } from "./platform.mjs";

const CONSOLE = new URL("../../services/gateway/console/", import.meta.url).pathname;
const { build } = createRequire(CONSOLE)("esbuild");

/** The client as an application would write it. */
const APPLICATION = `
  import { ConnectError, createClient } from "@connectrpc/connect";
  import { createGrpcWebTransport } from "@connectrpc/connect-web";
  import { AuthService } from "./src/gen/mcp/auth/v1/auth_pb.js";
  import { ContextService, Role } from "./src/gen/mcp/context/v1/context_pb.js";
  import { SummarizationService } from "./src/gen/mcp/summarization/v1/summarization_pb.js";

  window.signIn = async (tenant, user) => {
    const open = createGrpcWebTransport({ baseUrl: location.origin });
    const { accessToken } = await createClient(AuthService, open).signInLocally({ tenant, user });
    return clients(accessToken);
  };
  window.clients = (token) => {
    const transport = createGrpcWebTransport({
      baseUrl: location.origin,
      interceptors: [(next) => (request) => {
        if (token) request.header.set("authorization", "Bearer " + token);
        return next(request);
      }],
    });
    return {
      token,
      contexts: createClient(ContextService, transport),
      summarization: createClient(SummarizationService, transport),
    };
  };
  window.store = async ({ contexts }, text) => {
    const { name } = await contexts.createContext({ context: { type: "text" }, requestId: crypto.randomUUID() });
    const messages = [{ role: Role.USER, text }];
    await contexts.appendMessages({ parent: name, messages, requestId: crypto.randomUUID() });
    return name;
  };
  window.refusal = async (call) => {
    try {
      await call();
    } catch (thrown) {
      const error = ConnectError.from(thrown);
      return { code: error.code, words: error.rawMessage, details: error.details.map((detail) => [...detail.value].join()) };
    }
    throw new Error("the call was let in");
  };
`;

const [UNAUTHENTICATED, NOT_FOUND] = [16, 5];

let platform;
let browser;
let page;
let console_;

before(async () => {
  platform = await startPlatform();
  browser = await startBrowser(platform.keyHash);
  const bundled = await build({
    stdin: { contents: APPLICATION, resolveDir: CONSOLE },
    bundle: true,
    format: "iife",
    write: false,
  });
  console_ = await openConsole(browser, platform.gateway);
  page = console_.page;
  await page.evaluate(bundled.outputFiles[0].text);
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

test("a megabyte is stored, read back as it was, and summarised", async () => {
  const document = oneMegabyte();
  const seen = await page.evaluate(async (text) => {
    const alice = await window.signIn("acme", "alice");
    const name = await window.store(alice, text);
    const { messages } = await alice.contexts.listMessages({ parent: name });
    const answer = await alice.summarization.summarize({ text, length: { limit: { case: "maxWords", value: 80 } } });
    return { same: messages.map((message) => message.text).join("") === text, words: answer.summaryWords, summary: answer.summary };
  }, document);

  assert.equal(seen.same, true);
  assert.ok(seen.words > 10 && seen.words <= 80, `${seen.words} words`);
  assert.notEqual(seen.summary, "");
});

test("a stream comes in parts that join to the whole", async () => {
  const seen = await page.evaluate(async (text) => {
    const { summarization } = await window.signIn("acme", "alice");
    const parts = [];
    for await (const part of summarization.summarizeStream({ text })) parts.push(part);
    const whole = await summarization.summarize({ text });
    return { joined: parts.map((part) => part.summary).join(""), whole: whole.summary, parts: parts.length, done: parts.at(-1).done };
  }, licences());

  assert.equal(seen.joined, seen.whole);
  assert.equal(seen.done, true);
  assert.ok(seen.parts > 2, `${seen.parts} parts`);
});

test("without a token nothing is answered", async () => {
  const refused = await page.evaluate(() => window.refusal(() => window.clients("").contexts.listContexts({})));

  assert.equal(refused.code, UNAUTHENTICATED);
});

test("another tenant's context looks like one that never was", async () => {
  const [foreign, absent] = await page.evaluate(async () => {
    const alice = await window.signIn("acme", "alice");
    const mallory = await window.signIn("globex", "mallory");
    const name = await window.store(alice, "The plan.");
    const get = (wanted) => window.refusal(() => mallory.contexts.getContext({ name: wanted }));
    return [await get(name), await get("contexts/01890000-0000-7000-8000-000000000000")];
  });

  assert.equal(foreign.code, NOT_FOUND);
  assert.deepEqual(foreign, absent);
});
