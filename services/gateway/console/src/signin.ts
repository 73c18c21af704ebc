// Signing in and out.
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { auth } from "./api.js";
import { byId, onSubmit } from "./dom.js";
import { type Fault, fault } from "./faults.js";
import { hourAndMinute } from "./format.js";
import { acceptField, refuseField, showFault } from "./panels.js";
import { type Session, session, setSession } from "./session.js";

// The rules of SignInLocallyRequest.
const TENANT = /^[a-z][a-z0-9-]{0,38}[a-z0-9]$/;
const USER = /^[a-z0-9][a-z0-9._@+-]{0,126}$/;

/** Starts the form; `entered` is called after each sign-in, `left` after each sign-out. */
export function startSignIn(entered: () => void, left: () => void): void {
  const tenant = byId("tenant", HTMLInputElement);
  const user = byId("user", HTMLInputElement);
  const slot = byId("sign-in-fault", HTMLElement);

  onSubmit(byId("sign-in", HTMLFormElement), async () => {
    acceptField(slot, tenant);
    acceptField(slot, user);
    if (!TENANT.test(tenant.value)) {
      refuseField(slot, tenant, "A tenant is 2 to 40 lower-case letters, digits and hyphens, a letter first.");
      return;
    }
    if (!USER.test(user.value)) {
      refuseField(slot, user, "A user is lower-case letters, digits and . _ @ + -, a letter or digit first.");
      return;
    }
    try {
      const answer = await auth.signInLocally({ tenant: tenant.value, user: user.value }, { timeoutMs: 5000 });
      enter({
        tenant: tenant.value,
        user: user.value,
        role: answer.role,
        token: answer.accessToken,
        expires: answer.expireTime ? timestampDate(answer.expireTime) : new Date(),
      });
      entered();
    } catch (thrown) {
      showFault(slot, fault(thrown));
    }
  });

  byId("sign-out", HTMLButtonElement).addEventListener("click", () => {
    signOut(left);
  });
}

/** Forgets the session and shows the form again, with a fault if that is why. */
export function signOut(left: () => void, because?: Fault): void {
  if (session() === undefined) return;
  setSession(undefined);
  byId("who", HTMLElement).hidden = true;
  byId("bench", HTMLElement).hidden = true;
  byId("welcome", HTMLElement).hidden = false;
  left();
  showFault(byId("sign-in-fault", HTMLElement), because);
  byId("tenant", HTMLInputElement).focus();
}

function enter(next: Session): void {
  setSession(next);
  byId("who-name", HTMLElement).textContent = `${next.user} at ${next.tenant}`;
  byId("who-role", HTMLElement).textContent = next.role;
  byId("who-until", HTMLElement).textContent = `until ${hourAndMinute(next.expires)}`;
  byId("who", HTMLElement).hidden = false;
  byId("welcome", HTMLElement).hidden = true;
  byId("bench", HTMLElement).hidden = false;
  byId("bench-title", HTMLElement).focus();
}
