// Finds and makes elements. Everything a stranger wrote enters the page through `textContent`, never as markup.

/** The element of the page with this id; a missing one is a fault of the page itself. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new TypeError(`the page lacks #${id}`);
  return found;
}

/** A new element with a class, holding texts and other elements. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  ...children: (string | Node)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className !== "") made.className = className;
  // Strings become text nodes here.
  made.append(...children);
  return made;
}

/** A new SVG element with its attributes. */
export function svg(tag: string, attributes: Record<string, string | number>): SVGElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

/** Calls `submit` for each submission of a form, one at a time, with its button showing that work is under way. */
export function onSubmit(form: HTMLFormElement, submit: () => Promise<void>): void {
  let busy = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    const button = form.querySelector<HTMLButtonElement>("button[type=submit]");
    button?.setAttribute("aria-busy", "true");
    void submit().finally(() => {
      busy = false;
      button?.removeAttribute("aria-busy");
    });
  });
}
