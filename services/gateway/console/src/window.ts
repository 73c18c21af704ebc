// Assembling a window over the chosen context.
import { contexts } from "./api.js";
import { calls, changed } from "./calls.js";
import type { Chosen, Listener } from "./contexts.js";
import { byId, element, onSubmit } from "./dom.js";
import { fault } from "./faults.js";
import { count, plural } from "./format.js";
import { Role, type WindowPart } from "./gen/mcp/context/v1/context_pb.js";
import { acceptField, refuseField, showFault } from "./panels.js";

let chosen: Chosen | undefined;

/** Starts the panel. */
export function startWindow(listener: Listener): void {
  onSubmit(byId("assemble", HTMLFormElement), async () => assemble(listener));
}

/** Assembles over this context from now on; the last window goes, as it is not of this context. */
export function setContext(next: Chosen | undefined): void {
  chosen = next;
  byId("assemble-go", HTMLButtonElement).disabled = next === undefined;
  byId("window", HTMLElement).replaceChildren();
  byId("window-state", HTMLElement).textContent = "";
  showFault(byId("window-fault", HTMLElement));
}

async function assemble(listener: Listener): Promise<void> {
  const mine = chosen;
  if (mine === undefined) return;
  const slot = byId("window-fault", HTMLElement);
  const state = byId("window-state", HTMLElement);
  const budget = byId("budget", HTMLInputElement);
  const maxTokens = budget.valueAsNumber;
  acceptField(slot, budget);
  if (!Number.isInteger(maxTokens) || maxTokens < 16 || maxTokens > 1_000_000) {
    refuseField(slot, budget, "The budget is a whole number of tokens from 16 to 1,000,000.");
    return;
  }
  try {
    state.textContent = "Assembling…";
    const answer = await contexts.assembleWindow({ name: mine.context.name, maxTokens }, { timeoutMs: 30_000 });
    if (mine !== chosen) return;
    byId("window", HTMLElement).replaceChildren(...answer.parts.map(part));
    state.textContent = `${count(answer.tokenCount)} of ${plural(maxTokens, "token")}`;
    if (answer.parts.some((candidate) => candidate.summarized)) markFurther();
  } catch (thrown) {
    state.textContent = "";
    if (!listener.refused(thrown)) showFault(slot, fault(thrown));
  }
}

/** A summary in a window comes from the summarization service, whom the context service asked. */
function markFurther(): void {
  const call = calls().find((candidate) => candidate.method === "AssembleWindow");
  if (call === undefined) return;
  call.further = "summarization";
  changed();
}

function part(window: WindowPart): HTMLLIElement {
  const range = [window.firstMessage, window.lastMessage].map((name) => name.split("/").at(-1) ?? "");
  const messages = range[0] === range[1] ? `message ${range[0]}` : `messages ${range[0]} to ${range[1]}`;
  const what = window.summarized ? `summary of ${messages}` : `${Role[window.role]?.toLowerCase() ?? "message"}, ${messages}`;
  const text = element("div", "text", window.text);
  text.tabIndex = 0;
  text.setAttribute("role", "region");
  text.setAttribute("aria-label", what);
  return element(
    "li",
    "",
    element("span", "badge", what),
    element("span", "quiet", ` ${plural(window.tokenCount, "token")}`),
    text,
  );
}
