// The console: signs in, stores, summarises, and shows the way of each call.
import { Code, ConnectError } from "@connectrpc/connect";
import { clearContexts, type Listener, refresh, startContexts } from "./contexts.js";
import { fault } from "./faults.js";
import { startPath } from "./path.js";
import { session } from "./session.js";
import { signOut, startSignIn } from "./signin.js";
import { loadEngines, setSource, startSummary } from "./summary.js";
import { setContext, startWindow } from "./window.js";

const listener: Listener = {
  chosen(chosen) {
    setSource(chosen);
    setContext(chosen);
  },
  refused(thrown) {
    // What was under way when the user left is nobody's fault.
    if (session() === undefined) return true;
    if (ConnectError.from(thrown).code !== Code.Unauthenticated) return false;
    signOut(left, fault(thrown));
    return true;
  },
};

function left(): void {
  clearContexts(listener);
}

startPath();
startContexts(listener);
startSummary(listener);
startWindow(listener);
startSignIn(() => {
  void refresh(listener);
  void loadEngines(listener);
}, left);
