// Small parts that several panels share: showing faults and states.
import { element } from "./dom.js";
import type { Fault } from "./faults.js";

/** Shows a fault in its slot, or clears the slot. */
export function showFault(slot: HTMLElement, fault?: Fault): void {
  if (fault === undefined) {
    slot.replaceChildren();
    return;
  }
  const facts = [fault.code, fault.reason, fault.requestId === "" ? "" : `request ${fault.requestId}`];
  slot.replaceChildren(
    element(
      "div",
      "fault",
      element("p", "fault-words", `${upperFirst(fault.words)}.`),
      element("p", "", fault.advice),
      element("p", "fault-facts", facts.filter((fact) => fact !== "").join(" · ")),
    ),
  );
}

/** Shows what the page itself finds wrong with a field, and leads there. */
export function refuseField(slot: HTMLElement, field: HTMLElement, words: string): void {
  field.setAttribute("aria-invalid", "true");
  slot.replaceChildren(element("div", "fault", element("p", "fault-words", words)));
  field.focus();
}

/** Takes a refusal of a field back. */
export function acceptField(slot: HTMLElement, field: HTMLElement): void {
  field.removeAttribute("aria-invalid");
  slot.replaceChildren();
}

function upperFirst(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1).replace(/\.$/, "");
}
