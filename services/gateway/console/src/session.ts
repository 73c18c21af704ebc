// Who is signed in. The token lives in this module's memory and nowhere else: a reload signs out.

/** A signed-in user. */
export interface Session {
  readonly tenant: string;
  readonly user: string;
  readonly role: string;
  readonly token: string;
  readonly expires: Date;
}

let current: Session | undefined;

/** The session, while there is one. */
export function session(): Session | undefined {
  return current;
}

/** Replaces the session. */
export function setSession(next: Session | undefined): void {
  current = next;
}
