// Debian's Chromium, and pages in it that notice whatever goes wrong.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Starts the browser; it accepts the one public key named. */
export function startBrowser(keyHash) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      `--ignore-certificate-errors-spki-list=${keyHash}`,
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/**
 * A page of a fresh profile, opened at the console. `faults` collects console errors, exceptions, requests that failed
 * and breaches of the content security policy.
 */
export async function openConsole(browser, gateway, options = {}) {
  const context = await browser.newContext({ locale: "en", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const faults = [];
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`exception: ${error.message}`));
  page.on("dialog", (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.exposeFunction("reportBreach", (breach) => faults.push(`policy: ${breach}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      window.reportBreach(`${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  const response = await page.goto(gateway);
  return { page, faults, response, close: () => context.close() };
}

/** Signs in through the form. */
export async function signIn(page, tenant, user) {
  await page.getByLabel("Tenant").fill(tenant);
  await page.getByLabel("User").fill(user);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText(`${user} at ${tenant}`).waitFor();
}

/** Stores a text through the form, as a file, and waits until it is the chosen context. */
export async function storeText(page, text, title = "") {
  await page.getByLabel("Title").fill(title);
  await page
    .getByLabel("Open a file")
    .setInputFiles({ name: "text.txt", mimeType: "text/plain", buffer: Buffer.from(text) });
  await page.waitForFunction(
    (length) => document.querySelector("#text").value.length === length,
    text.length,
  );
  await page.getByRole("button", { name: "Store", exact: true }).click();
  await page.getByText(/^Stored: /).waitFor();
  await page.locator("#chosen-details").waitFor();
}

/** What axe finds that is serious or critical, a line each. */
export async function seriousViolations(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
}
