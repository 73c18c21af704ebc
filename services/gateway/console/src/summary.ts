// Summarising the chosen text, part by part, as the parts arrive.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { summarization } from "./api.js";
import type { Chosen, Listener } from "./contexts.js";
import { byId, element, onSubmit, svg } from "./dom.js";
import { fault } from "./faults.js";
import { count, plural } from "./format.js";
import {
  type Engine,
  type LengthSchema,
  type SourceSpan,
  Style,
  type SummarizeStreamResponse,
} from "./gen/mcp/summarization/v1/summarization_pb.js";
import { acceptField, refuseField, showFault } from "./panels.js";
import { byteLength, SUMMARY_BYTES_MAX } from "./text.js";

let source: Chosen | undefined;
let running: AbortController | undefined;

/** Starts the panel. */
export function startSummary(listener: Listener): void {
  onSubmit(byId("summarise", HTMLFormElement), async () => summarise(listener));
  byId("summarise-stop", HTMLButtonElement).addEventListener("click", () => {
    running?.abort();
  });
}

/** Summarises this text from now on; the last summary goes, as it is not of this text. */
export function setSource(next: Chosen | undefined): void {
  running?.abort();
  source = next;
  byId("summarise-go", HTMLButtonElement).disabled = next === undefined;
  byId("summary", HTMLElement).replaceChildren();
  byId("summary-facts", HTMLElement).hidden = true;
  byId("summary-state", HTMLElement).textContent = "";
  showFault(byId("summary-fault", HTMLElement));
}

/** Offers the engines of the platform. */
export async function loadEngines(listener: Listener): Promise<void> {
  const select = byId("engine", HTMLSelectElement);
  try {
    const answer = await summarization.listEngines({}, { timeoutMs: 2000 });
    const preset = new Option("default", "");
    select.replaceChildren(preset, ...answer.engines.map((engine) => engineOption(engine)));
  } catch (thrown) {
    // The default stays on offer, and a summary will tell what is wrong.
    listener.refused(thrown);
  }
}

function engineOption(engine: Engine): HTMLOptionElement {
  const option = new Option(engine.name, engine.name);
  option.title = engine.description;
  return option;
}

async function summarise(listener: Listener): Promise<void> {
  const chosen = source;
  const slot = byId("summary-fault", HTMLElement);
  const amount = byId("amount", HTMLInputElement);
  acceptField(slot, amount);
  const length = wantedLength(amount.valueAsNumber);
  if (chosen === undefined) return;
  if (length === undefined) {
    refuseField(slot, amount, "The length is a whole number: words up to 100,000, sentences up to 10,000, percent up to 100.");
    return;
  }
  if (byteLength(chosen.text) > SUMMARY_BYTES_MAX) {
    refuseField(slot, amount, "The text is longer than the 4 MiB that one summary takes: store it in parts.");
    return;
  }
  const stop = new AbortController();
  running = stop;
  const output = byId("summary", HTMLElement);
  const state = byId("summary-state", HTMLElement);
  output.replaceChildren();
  byId("summary-facts", HTMLElement).hidden = true;
  byId("summarise-stop", HTMLElement).hidden = false;
  state.textContent = "Reading the text…";
  const spans: SourceSpan[] = [];
  let parts = 0;
  try {
    const stream = summarization.summarizeStream(
      {
        text: chosen.text,
        length,
        style: byId("style", HTMLSelectElement).value === "2" ? Style.BULLETS : Style.PARAGRAPH,
        engine: byId("engine", HTMLSelectElement).value,
        query: byId("query", HTMLInputElement).value,
      },
      { signal: stop.signal, timeoutMs: 60_000 },
    );
    for await (const part of stream) {
      spans.push(...part.sourceSpans);
      if (part.summary !== "") {
        parts += 1;
        output.append(element("span", "", part.summary));
        state.textContent = `${plural(parts, "part")} so far…`;
      }
      if (part.done) showFacts(part, spans, byteLength(chosen.text));
    }
    state.textContent = `Done, in ${plural(parts, "part")}.`;
  } catch (thrown) {
    state.textContent = "";
    if (stop.signal.aborted && ConnectError.from(thrown).code === Code.Canceled) {
      if (source === chosen) state.textContent = "Stopped.";
    } else if (!listener.refused(thrown)) {
      showFault(slot, fault(thrown));
    }
  } finally {
    if (running === stop) {
      running = undefined;
      byId("summarise-stop", HTMLElement).hidden = true;
    }
  }
}

function wantedLength(amount: number): MessageInitShape<typeof LengthSchema> | undefined {
  if (!Number.isInteger(amount) || amount < 1) return undefined;
  switch (byId("unit", HTMLSelectElement).value) {
    case "maxSentences":
      return amount > 10_000 ? undefined : { limit: { case: "maxSentences", value: amount } };
    case "ratio":
      return amount > 100 ? undefined : { limit: { case: "ratio", value: amount / 100 } };
    default:
      return amount > 100_000 ? undefined : { limit: { case: "maxWords", value: amount } };
  }
}

function showFacts(last: SummarizeStreamResponse, spans: SourceSpan[], sourceBytes: number): void {
  const facts = byId("summary-facts", HTMLElement);
  const words = `${count(last.summaryWords)} of ${plural(last.sourceWords, "word")}`;
  const covers = `covers ${Math.round(last.semanticScore * 100)}% of the vocabulary by weight`;
  const engine = last.engine === "" ? "" : ` · ${last.engine}`;
  facts.replaceChildren(element("p", "", `${words} · ${covers}${engine}`), strip(spans, sourceBytes));
  facts.hidden = false;
}

/** The text as a strip, with a mark wherever a sentence of the summary stands in it. */
function strip(spans: SourceSpan[], sourceBytes: number): SVGElement {
  const drawn = svg("svg", { class: "strip", viewBox: "0 0 1000 22", preserveAspectRatio: "none", role: "img" });
  drawn.setAttribute("aria-label", `Where the ${plural(spans.length, "sentence")} of the summary stand in the text`);
  drawn.append(svg("rect", { class: "ground", x: 0, y: 6, width: 1000, height: 10, rx: 3 }));
  for (const span of spans) {
    const x = (span.startByte / sourceBytes) * 1000;
    const width = Math.max(3, ((span.endByte - span.startByte) / sourceBytes) * 1000);
    drawn.append(svg("rect", { class: "mark", x: Math.min(x, 997), y: 1, width, height: 20, rx: 1 }));
  }
  return drawn;
}
