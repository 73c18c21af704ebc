// Turns a refused call into words: what happened, why, and what to do now.
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";

/** A refused call, in words. */
export interface Fault {
  /** `NOT_FOUND`. */
  readonly code: string;
  /** The stable reason, `ETAG_MISMATCH`; empty where the answer has none. */
  readonly reason: string;
  /** What the server said. */
  readonly words: string;
  /** What to do now. */
  readonly advice: string;
  /** Names the call in logs and audit; empty where no answer came. */
  readonly requestId: string;
}

/** The name of a gRPC code as the protocol writes it. */
export function codeName(code: Code): string {
  return (Code[code] ?? "Unknown").replace(/([a-z])([A-Z])/g, "$1_$2").toUpperCase();
}

/** Reads what was thrown by a call. */
export function fault(thrown: unknown): Fault {
  const error = ConnectError.from(thrown);
  const { reason, retryMs } = details(error);
  return {
    code: codeName(error.code),
    reason,
    words: error.rawMessage || "the server gave no words",
    advice: advice(error.code, reason, retryMs),
    requestId: requestId(error.metadata) ?? "",
  };
}

/** The request ID of an answer. Headers and trailers may both carry it, and then arrive joined. */
export function requestId(headers: Headers): string | undefined {
  return headers.get("x-request-id")?.split(",")[0]?.trim();
}

function advice(code: Code, reason: string, retryMs: number | undefined): string {
  const wait = retryMs === undefined ? "a moment" : `${Math.max(1, Math.ceil(retryMs / 1000))} s`;
  switch (reason) {
    case "LOCAL_SIGN_IN_OFF":
      return "This platform does not run in the development profile: sign in through your organisation instead.";
    case "ETAG_MISMATCH":
      return "Somebody changed it meanwhile: load it again, then repeat your change.";
    case "PAGE_TOKEN_REFUSED":
      return "The list is out of date: refresh it.";
    case "ENGINE_UNKNOWN":
      return "Pick another engine, or the default.";
  }
  switch (code) {
    case Code.Unauthenticated:
      return "Your sign-in is missing, over or was withdrawn: sign in again.";
    case Code.PermissionDenied:
      return "Your role does not allow it: ask an owner of the tenant for another role.";
    case Code.NotFound:
      return "It was deleted, or it never was in this tenant: refresh the list.";
    case Code.InvalidArgument:
      return "Change what the message names, then try again.";
    case Code.ResourceExhausted:
      return `Too much at once, or too large: wait ${wait}, then try again with less.`;
    case Code.Unavailable:
      return `The platform cannot be reached or is starting: try again in ${wait}.`;
    case Code.DeadlineExceeded:
      return "It took too long: try again, with a shorter text if it happens twice.";
    case Code.Canceled:
      return "It was stopped before its end. Nothing needs to be done.";
    case Code.FailedPrecondition:
    case Code.Aborted:
    case Code.AlreadyExists:
      return "Something stands in the way of it just now: change that first, then try again.";
    default:
      return "Try again; if it happens twice, give the request ID to whoever runs the platform.";
  }
}

/** Reads google.rpc.ErrorInfo and google.rpc.RetryInfo, whose field numbers are fixed for good. */
function details(error: ConnectError): { reason: string; retryMs: number | undefined } {
  let reason = "";
  let retryMs: number | undefined;
  for (const detail of error.details) {
    if (!("type" in detail)) continue;
    if (detail.type === "google.rpc.ErrorInfo") reason = stringField(detail.value, 1);
    if (detail.type === "google.rpc.RetryInfo") retryMs = durationMs(bytesField(detail.value, 1));
  }
  return { reason, retryMs };
}

function bytesField(message: Uint8Array, wanted: number): Uint8Array {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === wanted && type === 2) return reader.bytes();
    reader.skip(type, field);
  }
  return new Uint8Array();
}

function stringField(message: Uint8Array, wanted: number): string {
  return new TextDecoder().decode(bytesField(message, wanted));
}

function durationMs(message: Uint8Array): number {
  const reader = new BinaryReader(message);
  let ms = 0;
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1 && type === 0) ms += Number(reader.int64()) * 1000;
    else if (field === 2 && type === 0) ms += reader.int32() / 1e6;
    else reader.skip(type, field);
  }
  return ms;
}
