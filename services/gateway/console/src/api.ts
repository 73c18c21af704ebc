// The platform's API over gRPC-Web, with every call's path recorded in the journal.
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { begin, type Call, changed, heard } from "./calls.js";
import { codeName } from "./faults.js";
import { AuthService } from "./gen/mcp/auth/v1/auth_pb.js";
import { ContextService } from "./gen/mcp/context/v1/context_pb.js";
import { SummarizationService } from "./gen/mcp/summarization/v1/summarization_pb.js";
import { session } from "./session.js";

/** Shows the token of the session, as RFC 6750 section 2.1 has it. */
const withCredential: Interceptor = (next) => (request) => {
  const current = session();
  if (current !== undefined) {
    request.header.set("authorization", `Bearer ${current.token}`);
    request.header.set("x-tenant-id", current.tenant);
  }
  return next(request);
};

/** Records the call. Outermost, so that its clock covers everything. */
const recorded: Interceptor = (next) => async (request) => {
  const call = begin(request.method.parent.typeName, request.method.name);
  const started = performance.now();
  const end = (refused?: ConnectError) => close(call, performance.now() - started, refused);
  try {
    const response = await next(request);
    heard(call, response.header);
    if (response.stream) return { ...response, message: untilEnd(response.message, end) };
    end();
    return response;
  } catch (thrown) {
    const refused = refusal(thrown);
    end(refused);
    throw refused;
  }
};

async function* untilEnd<T>(messages: AsyncIterable<T>, end: (refused?: ConnectError) => void): AsyncGenerator<T> {
  let refused: ConnectError | undefined = new ConnectError("stopped", Code.Canceled);
  try {
    yield* messages;
    refused = undefined;
  } catch (thrown) {
    refused = refusal(thrown);
    throw refused;
  } finally {
    end(refused);
  }
}

/** What was thrown as a status. `fetch` and its streams fail with a TypeError where the network does. */
function refusal(thrown: unknown): ConnectError {
  const error = ConnectError.from(thrown);
  const cause = error.cause ?? thrown;
  return cause instanceof TypeError ? new ConnectError("the gateway did not answer", Code.Unavailable) : error;
}

function close(call: Call, totalMs: number, refused: ConnectError | undefined): void {
  call.totalMs = totalMs;
  if (refused === undefined) {
    call.outcome = "ok";
    call.code = "OK";
  } else {
    call.outcome = "failed";
    call.code = codeName(refused.code);
    heard(call, refused.metadata);
  }
  changed();
}

const transport = createGrpcWebTransport({
  baseUrl: location.origin,
  interceptors: [recorded, withCredential],
});

/** Signs in. */
export const auth = createClient(AuthService, transport);
/** Stores and lists. */
export const contexts = createClient(ContextService, transport);
/** Summarises. */
export const summarization = createClient(SummarizationService, transport);
