// Draws the way of one call through the mesh, and the table of calls it is chosen from.
import { type Call, calls, onChange } from "./calls.js";
import { byId, element } from "./dom.js";
import { duration, timeOfDay } from "./format.js";

/** A station of the way. */
interface Station {
  readonly name: string;
  readonly state: "ok" | "failed" | "pending" | "unreached";
  readonly words: string;
}

/** What leads to a station. */
interface Link {
  readonly protocol: string;
  readonly time: string;
}

let chosen: number | undefined;

/** Keeps the section up to date with the journal. */
export function startPath(): void {
  onChange(draw);
  draw();
}

function draw(): void {
  const all = calls();
  const call = all.find((candidate) => candidate.number === chosen) ?? all[0];
  byId("mesh", HTMLElement).hidden = call === undefined;
  if (call === undefined) return;
  drawWords(call);
  drawPath(call);
  drawShare(call);
  drawTable(all, call);
}

function drawWords(call: Call): void {
  const words = byId("path-words", HTMLElement);
  words.replaceChildren(`${call.method}, sent at ${timeOfDay(call.at)}. `);
  if (call.requestId === undefined) return;
  words.append("Request ", element("code", "", call.requestId), " names it in every log and audit row on the way.");
}

function drawPath(call: Call): void {
  const [browser, gateway, service] = stations(call);
  const list = byId("path", HTMLElement);
  list.replaceChildren(
    item(undefined, browser),
    item({ protocol: "gRPC-Web, TLS 1.3", time: call.totalMs === undefined ? "" : duration(call.totalMs) }, gateway),
    item({ protocol: "gRPC, mutual TLS", time: call.upstreamMs === undefined ? "" : duration(call.upstreamMs) }, service),
  );
  if (call.further !== undefined) {
    const further: Station = { name: call.further, state: "ok", words: "asked in your name" };
    list.append(item({ protocol: "gRPC, mutual TLS", time: "" }, further));
  }
}

/** Who was reached: a refusal without an upstream time is the gateway's own. */
function stations(call: Call): [Station, Station, Station] {
  const answered = call.requestId !== undefined;
  const forwarded = call.upstreamMs !== undefined;
  const edge = call.edgeMs === undefined ? "let it in" : `checked in ${duration(call.edgeMs)}`;
  const browser: Station = { name: "browser", state: "ok", words: "this page" };
  if (call.outcome === "pending") {
    return [
      browser,
      { name: "gateway", state: answered ? "ok" : "pending", words: answered ? edge : "under way" },
      { name: call.service, state: "pending", words: answered ? "sending" : "under way" },
    ];
  }
  if (call.outcome === "ok") {
    return [browser, { name: "gateway", state: "ok", words: edge }, { name: call.service, state: "ok", words: "answered" }];
  }
  if (forwarded) {
    return [browser, { name: "gateway", state: "ok", words: edge }, { name: call.service, state: "failed", words: call.code }];
  }
  return [
    browser,
    { name: "gateway", state: "failed", words: answered || call.code !== "UNAVAILABLE" ? call.code : "not reached" },
    { name: call.service, state: "unreached", words: "not asked" },
  ];
}

function item(link: Link | undefined, station: Station): HTMLLIElement {
  const node = element(
    "div",
    `node ${station.state}`,
    element("span", "node-name", station.name),
    element("span", "node-state", station.words),
  );
  if (link === undefined) return element("li", "", node);
  const line = element(
    "div",
    "link",
    element("span", "link-protocol", link.protocol),
    element("span", "link-line"),
    element("span", "link-time", link.time || "\u00a0"),
  );
  return element("li", "", line, node);
}

/** Splits the time between those who took it. */
function drawShare(call: Call): void {
  const share = byId("share", HTMLElement);
  if (call.totalMs === undefined || call.edgeMs === undefined) {
    share.replaceChildren();
    return;
  }
  const service = call.upstreamMs ?? 0;
  const parts = [
    { className: "part-wire", name: "wire and browser", ms: Math.max(0, call.totalMs - call.edgeMs - service) },
    { className: "part-edge", name: "gateway's checks", ms: call.edgeMs },
    { className: "part-service", name: `${call.service} service`, ms: service },
  ];
  const bar = element("div", "share-bar");
  bar.setAttribute("aria-hidden", "true");
  for (const part of parts) {
    const piece = element("span", part.className);
    piece.style.flexGrow = String(part.ms);
    bar.append(piece);
  }
  const list = element("ul", "share-list");
  for (const part of parts) {
    list.append(element("li", "", element("span", part.className), `${part.name} ${duration(part.ms)}`));
  }
  share.replaceChildren(bar, list);
}

function drawTable(all: readonly Call[], shown: Call): void {
  const body = byId("calls", HTMLElement);
  const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset["call"] : undefined;
  body.replaceChildren(
    ...all.map((call) => {
      const show = element("button", "", `${call.service}.${call.method}`);
      show.type = "button";
      show.dataset["call"] = String(call.number);
      show.setAttribute("aria-pressed", String(call === shown));
      show.addEventListener("click", () => {
        chosen = call === calls()[0] ? undefined : call.number;
        draw();
      });
      return element(
        "tr",
        "",
        element("td", "", show),
        element("td", "", timeOfDay(call.at)),
        element("td", `outcome-${call.outcome}`, call.outcome === "pending" ? "under way" : call.code),
        element("td", "number", call.totalMs === undefined ? "" : duration(call.totalMs)),
        element("td", "id", call.requestId ?? ""),
      );
    }),
  );
  // Redrawing took the focused button away: give it back.
  if (focused !== undefined) body.querySelector<HTMLElement>(`[data-call="${focused}"]`)?.focus();
}
