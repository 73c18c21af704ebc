// The journal of calls: what went out, what came back, and where the time went.
import { requestId } from "./faults.js";

/** Where a call stands. */
export type Outcome = "pending" | "ok" | "failed";

/** One call as the page saw it. */
export interface Call {
  readonly number: number;
  /** The service's short name: `context`. */
  readonly service: string;
  readonly method: string;
  readonly at: Date;
  outcome: Outcome;
  /** The gRPC code's name, `OK` for a good answer; empty while pending. */
  code: string;
  /** From the gateway's `x-request-id`. */
  requestId?: string | undefined;
  /** All of it, as the browser measured. */
  totalMs?: number;
  /** What the gateway spent on its own checks. */
  edgeMs?: number | undefined;
  /** What the service took, as the gateway measured. */
  upstreamMs?: number | undefined;
  /** Whom that service asked in turn, as far as the answer tells. */
  further?: string;
}

/** What the gateway tells of its time. */
export interface ServerTiming {
  edgeMs?: number;
  upstreamMs?: number;
  upstream?: string;
}

const KEPT_MAX = 25;

const kept: Call[] = [];
const listeners = new Set<() => void>();
let counter = 0;

/** The calls, newest first. */
export function calls(): readonly Call[] {
  return kept;
}

/** Calls `listener` after each change. */
export function onChange(listener: () => void): void {
  listeners.add(listener);
}

/** Opens a record. */
export function begin(serviceType: string, method: string): Call {
  counter += 1;
  const call: Call = {
    number: counter,
    service: serviceType.split(".")[1] ?? serviceType,
    method,
    at: new Date(),
    outcome: "pending",
    code: "",
  };
  kept.unshift(call);
  kept.length = Math.min(kept.length, KEPT_MAX);
  changed();
  return call;
}

/** Tells the listeners that some record changed. */
export function changed(): void {
  for (const listener of listeners) listener();
}

/** Takes over what response headers tell. */
export function heard(call: Call, headers: Headers): void {
  call.requestId = requestId(headers) ?? call.requestId;
  const timing = parseServerTiming(headers.get("server-timing") ?? "");
  call.edgeMs = timing.edgeMs ?? call.edgeMs;
  call.upstreamMs = timing.upstreamMs ?? call.upstreamMs;
  changed();
}

/** Reads the entries `edge` and `upstream` of a `server-timing` header (W3C Server Timing, section 3). */
export function parseServerTiming(header: string): ServerTiming {
  const found: ServerTiming = {};
  for (const entry of header.split(",")) {
    const [name, ...parameters] = entry.split(";").map((part) => part.trim());
    const values = new Map(
      parameters.map((parameter) => {
        const [key, ...rest] = parameter.split("=");
        return [key?.trim().toLowerCase() ?? "", rest.join("=").trim().replace(/^"|"$/g, "")];
      }),
    );
    const ms = Number.parseFloat(values.get("dur") ?? "");
    if (!Number.isFinite(ms)) continue;
    if (name === "edge") found.edgeMs = ms;
    if (name === "upstream") {
      found.upstreamMs = ms;
      const description = values.get("desc");
      if (description !== undefined) found.upstream = description;
    }
  }
  return found;
}
