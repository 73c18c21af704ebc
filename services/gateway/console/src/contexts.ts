// Storing texts, listing contexts and choosing one.
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { contexts as api } from "./api.js";
import { byId, element, onSubmit } from "./dom.js";
import { bytes, count, dateAndTime, plural } from "./format.js";
import { type Context, Role } from "./gen/mcp/context/v1/context_pb.js";
import { showFault, refuseField, acceptField } from "./panels.js";
import { byteLength, MESSAGE_BYTES_MAX, pieces, titleFrom } from "./text.js";
import { fault } from "./faults.js";

/** A context with its text. */
export interface Chosen {
  readonly context: Context;
  readonly text: string;
}

/** Whom the panels tell. */
export interface Listener {
  /** Another context was chosen, or none. */
  chosen(chosen: Chosen | undefined): void;
  /** A call was refused; true if that ends the session. */
  refused(thrown: unknown): boolean;
}

const SHOWN_CHARACTERS_MAX = 20_000;
const PAGE_SIZE = 20;

let current: Context | undefined;
let nextPageToken = "";
/** Count choices and loads, so that a slow answer to an older one is not shown. */
let choice = 0;
let load = 0;

/** Starts the panels. */
export function startContexts(listener: Listener): void {
  startStore(listener);
  byId("refresh", HTMLButtonElement).addEventListener("click", () => void refresh(listener));
  byId("more", HTMLButtonElement).addEventListener("click", () => void page(listener, nextPageToken));
}

/** Forgets what the last session saw. */
export function clearContexts(listener: Listener): void {
  byId("contexts", HTMLElement).replaceChildren();
  byId("store", HTMLFormElement).reset();
  byId("store-state", HTMLElement).textContent = "";
  byId("text-size", HTMLElement).textContent = "empty";
  for (const slot of ["store-fault", "contexts-fault", "chosen-fault"]) showFault(byId(slot, HTMLElement));
  unchoose(listener);
}

/** Loads the first page anew. */
export async function refresh(listener: Listener): Promise<void> {
  await page(listener, "");
}

async function page(listener: Listener, pageToken: string): Promise<void> {
  load += 1;
  const mine = load;
  const slot = byId("contexts-fault", HTMLElement);
  try {
    const answer = await api.listContexts({ pageSize: PAGE_SIZE, pageToken }, { timeoutMs: 5000 });
    if (mine !== load) return;
    const items = answer.contexts.map((context) => item(context, listener));
    const list = byId("contexts", HTMLElement);
    if (pageToken === "") list.replaceChildren(...items);
    else list.append(...items);
    nextPageToken = answer.nextPageToken;
    byId("more", HTMLElement).hidden = nextPageToken === "";
    byId("contexts-none", HTMLElement).hidden = list.childElementCount > 0;
    showFault(slot);
  } catch (thrown) {
    if (mine === load && !listener.refused(thrown)) showFault(slot, fault(thrown));
  }
}

function item(context: Context, listener: Listener): HTMLLIElement {
  const button = element(
    "button",
    "",
    element("span", "name", context.title || "Untitled"),
    element("span", "facts-line", facts(context)),
  );
  button.type = "button";
  button.dataset["name"] = context.name;
  button.setAttribute("aria-current", String(context.name === current?.name));
  button.addEventListener("click", () => void choose(context, listener));
  return element("li", "", button);
}

function facts(context: Context): string {
  const changed = context.updateTime ?? context.createTime;
  return [plural(context.messageCount, "message"), changed ? dateAndTime(timestampDate(changed)) : ""]
    .filter((fact) => fact !== "")
    .join(" · ");
}

async function choose(context: Context, listener: Listener): Promise<void> {
  choice += 1;
  const mine = choice;
  mark(context);
  byId("chosen-title", HTMLElement).textContent = context.title || "Untitled";
  byId("chosen-facts", HTMLElement).textContent = "Loading its messages…";
  byId("chosen-details", HTMLElement).hidden = true;
  listener.chosen(undefined);
  const slot = byId("chosen-fault", HTMLElement);
  showFault(slot);
  try {
    const text = await textOf(context.name);
    if (mine !== choice) return;
    show(context, text);
    listener.chosen({ context, text });
  } catch (thrown) {
    if (mine !== choice || listener.refused(thrown)) return;
    byId("chosen-facts", HTMLElement).textContent = "";
    showFault(slot, fault(thrown));
  }
}

function unchoose(listener: Listener): void {
  choice += 1;
  load += 1;
  current = undefined;
  nextPageToken = "";
  byId("more", HTMLElement).hidden = true;
  byId("contexts-none", HTMLElement).hidden = false;
  byId("chosen-title", HTMLElement).textContent = "No context chosen";
  byId("chosen-facts", HTMLElement).textContent = "Store a text or choose a context to summarise it.";
  byId("chosen-details", HTMLElement).hidden = true;
  byId("chosen-text", HTMLElement).textContent = "";
  listener.chosen(undefined);
}

function mark(context: Context): void {
  current = context;
  for (const button of byId("contexts", HTMLElement).querySelectorAll<HTMLElement>("button")) {
    button.setAttribute("aria-current", String(button.dataset["name"] === context.name));
  }
}

function show(context: Context, text: string): void {
  byId("chosen-facts", HTMLElement).textContent = `${facts(context)} · ${bytes(byteLength(text))} · ${context.name}`;
  byId("chosen-text", HTMLElement).textContent = text.slice(0, SHOWN_CHARACTERS_MAX);
  byId("chosen-cut", HTMLElement).textContent =
    text.length > SHOWN_CHARACTERS_MAX
      ? `The first ${count(SHOWN_CHARACTERS_MAX)} of ${count(text.length)} characters.`
      : "";
  byId("chosen-details", HTMLElement).hidden = false;
}

/** All messages of a context, joined. */
async function textOf(parent: string): Promise<string> {
  const texts: string[] = [];
  let pageToken = "";
  do {
    const answer = await api.listMessages({ parent, pageSize: 200, pageToken }, { timeoutMs: 5000 });
    texts.push(...answer.messages.map((message) => message.text));
    pageToken = answer.nextPageToken;
  } while (pageToken !== "");
  return texts.join("");
}

// === storing ===

function startStore(listener: Listener): void {
  const text = byId("text", HTMLTextAreaElement);
  const file = byId("file", HTMLInputElement);
  const slot = byId("store-fault", HTMLElement);
  const size = byId("text-size", HTMLElement);

  const measure = () => {
    const length = byteLength(text.value);
    size.textContent = length === 0 ? "empty" : bytes(length);
  };
  text.addEventListener("input", measure);
  file.addEventListener("change", () => {
    const opened = file.files?.[0];
    if (opened === undefined) return;
    void opened.text().then((content) => {
      text.value = content;
      file.value = "";
      measure();
    });
  });
  onSubmit(byId("store", HTMLFormElement), async () => {
    acceptField(slot, text);
    if (text.value === "") {
      refuseField(slot, text, "There is no text yet: paste one, or open a file.");
      return;
    }
    await store(byId("title", HTMLInputElement), text, slot, listener);
    measure();
  });
}

async function store(
  title: HTMLInputElement,
  text: HTMLTextAreaElement,
  slot: HTMLElement,
  listener: Listener,
): Promise<void> {
  const state = byId("store-state", HTMLElement);
  const body = text.value;
  try {
    state.textContent = "Storing…";
    const context = await api.createContext(
      { context: { type: "text", title: title.value || titleFrom(body) }, requestId: crypto.randomUUID() },
      { timeoutMs: 5000 },
    );
    const parts = pieces(body, MESSAGE_BYTES_MAX);
    for (const part of parts) {
      await api.appendMessages(
        { parent: context.name, messages: [{ role: Role.USER, text: part }], requestId: crypto.randomUUID() },
        { timeoutMs: 10_000 },
      );
    }
    title.value = "";
    text.value = "";
    state.textContent = `Stored: ${bytes(byteLength(body))} in ${plural(parts.length, "message")}.`;
    await refresh(listener);
    await choose({ ...context, messageCount: BigInt(parts.length) }, listener);
  } catch (thrown) {
    state.textContent = "";
    if (!listener.refused(thrown)) showFault(slot, fault(thrown));
  }
}
