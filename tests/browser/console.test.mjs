// What a person meets on the console page, in a real browser, against a real platform.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openConsole, seriousViolations, signIn, startBrowser, storeText } from "./browser.mjs";
import { licences } from "./documents.mjs";
import { startPlatform } from "./platform.mjs";

let platform;
let browser;

before(async () => {
  platform = await startPlatform();
  browser = await startBrowser(platform.keyHash);
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

const open = (options) => openConsole(browser, platform.gateway, options);

test("a real document is stored, and its summary arrives part by part", async () => {
  const { page, faults, close } = await open();
  await signIn(page, "acme", "alice");
  await storeText(page, licences(), "Every licence");
  await page.evaluate(() => {
    window.arrivals = [];
    new MutationObserver(() => {
      window.arrivals.push(document.querySelectorAll("#summary span").length);
    }).observe(document.querySelector("#summary"), { childList: true });
  });

  await page.getByRole("button", { name: "Summarise" }).click();
  await page.getByText(/^Done, in \d+ parts\.$/).waitFor();

  const arrivals = await page.evaluate(() => window.arrivals);
  assert.ok(arrivals.length > 2, `the parts came in ${arrivals.length} goes: ${arrivals}`);
  assert.equal(await page.locator("#summary").getAttribute("aria-live"), "polite");
  const words = (await page.locator("#summary").innerText()).split(/\s+/).length;
  assert.ok(words > 20 && words <= 140, `${words} words`);
  assert.match(await page.locator("#summary-facts").innerText(), /\d+ of [\d,]+ words · covers \d+%/);
  assert.deepEqual(faults, []);
  await close();
});

test("a window over a stored document keeps to its budget and shows who was asked", async () => {
  const { page, faults, close } = await open();
  await signIn(page, "acme", "alice");
  await storeText(page, licences(), "For a window");

  await page.getByLabel("Budget in tokens").fill("300");
  await page.getByRole("button", { name: "Assemble" }).click();
  await page.getByText(/^\d+ of 300 tokens$/).waitFor();

  const stations = await page.locator("#path .node-name").allInnerTexts();
  assert.deepEqual(stations, ["browser", "gateway", "context", "summarization"]);
  assert.deepEqual(faults, []);
  await close();
});

test("the way through the mesh names the request and what each hop took", async () => {
  const { page, close } = await open();
  await signIn(page, "acme", "alice");
  await page.locator("#contexts-none:visible, #contexts li").first().waitFor();
  await page.getByText("All calls of this page").click();
  await page.getByRole("button", { name: "auth.SignInLocally" }).click();

  assert.deepEqual(await page.locator("#path .node-name").allInnerTexts(), ["browser", "gateway", "auth"]);
  assert.match(await page.locator("#path .node").nth(1).innerText(), /checked in [\d.]+ ms/);
  assert.match(await page.locator("#path .link-time").nth(1).innerText(), /[\d.]+ m?s/);
  assert.match(await page.locator("#path-words").innerText(), /SignInLocally.*Request \S{8,} names it/);
  assert.equal(await page.locator(".share-list li").count(), 3);
  await close();
});

test("hostile text stays text", async () => {
  const { page, faults, close } = await open();
  const hostile = `<img src=x onerror=alert(1)> <script>alert(2)</script> "><svg onload=alert(3)>. ${"It is only text, and it says nothing. ".repeat(20)}`;
  await signIn(page, "acme", "alice");
  await storeText(page, hostile);
  await page.getByText("Read the text").click();
  await page.getByRole("button", { name: "Summarise" }).click();
  await page.getByText(/^Done, in /).waitFor();
  await page.getByRole("button", { name: "Assemble" }).click();
  await page.locator("#window li").first().waitFor();

  assert.equal(await page.locator("#chosen-text").textContent(), hostile);
  assert.equal(await page.locator("main img, main script, main svg[onload]").count(), 0);
  assert.deepEqual(faults, []);
  await close();
});

test("a refusal says what happened, why, what to do, and which request it was", async () => {
  const { page, close } = await open();
  await signIn(page, "acme", "alice");
  await page.getByLabel("Title").fill("<img src=x onerror=alert(1)>");
  await page.getByLabel("Text", { exact: true }).fill("A text under a title that is refused.");
  await page.getByRole("button", { name: "Store", exact: true }).click();

  const fault = page.locator("#store-fault .fault");
  await fault.waitFor();
  assert.match(await fault.innerText(), /Change what the message names/);
  assert.match(await fault.locator(".fault-facts").innerText(), /^INVALID_ARGUMENT .*request \S{8,}$/);
  assert.equal(await page.locator("main img").count(), 0);
  assert.match(await page.locator("#path .node.failed").innerText(), /INVALID_ARGUMENT/);
  await close();
});

test("a gateway that does not answer is told apart from a refusal", async () => {
  const { page, close } = await open();
  await signIn(page, "acme", "alice");
  await page.context().setOffline(true);

  await page.getByRole("button", { name: "Refresh" }).click();

  await page.getByText("The gateway did not answer.").waitFor();
  assert.match(await page.locator("#path .node.failed").innerText(), /not reached/);
  await close();
});

test("another tenant sees nothing of it", async () => {
  const alice = await open();
  await signIn(alice.page, "acme", "alice");
  await storeText(alice.page, "The plan is to win. It is a good plan.", "The plan");
  const mallory = await open();
  await signIn(mallory.page, "globex", "mallory");

  await mallory.page.getByText("None yet in this tenant.").waitFor();
  await mallory.page.getByRole("button", { name: "Refresh" }).click();
  await mallory.page.getByText("None yet in this tenant.").waitFor();

  assert.equal(await mallory.page.getByText("The plan").count(), 0);
  await alice.close();
  await mallory.close();
});

test("the token is nowhere but in the page's memory", async () => {
  const { page, close } = await open();
  await signIn(page, "acme", "alice");

  const kept = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]);
  assert.deepEqual(kept, [0, 0, ""]);
  await page.reload();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  await close();
});

test("signing out leaves nothing of the tenant on the page", async () => {
  const { page, close } = await open();
  await signIn(page, "initech", "peter");
  await storeText(page, "A memo about covers. It says the same thing twice.", "A memo");

  await page.getByRole("button", { name: "Sign out" }).click();

  await page.getByRole("button", { name: "Sign in" }).waitFor();
  assert.doesNotMatch(await page.locator("main").evaluate((main) => main.textContent), /A memo|about covers/);
  await close();
});

test("a keyboard is enough", async () => {
  const { page, close } = await open();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.type("acme");
  await page.keyboard.press("Tab");
  await page.keyboard.type("alice");
  await page.keyboard.press("Enter");
  await page.getByText("alice at acme").waitFor();

  assert.equal(await page.evaluate(() => document.activeElement.id), "bench-title");
  await close();
});

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing serious, ${colorScheme}`, async () => {
    const { page, close } = await open({ colorScheme, reducedMotion: "reduce" });
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.locator("#sign-in-fault .fault").waitFor();
    assert.deepEqual(await seriousViolations(page), []);

    await signIn(page, "acme", "alice");
    await storeText(page, licences(), "Seen by axe");
    await page.getByRole("button", { name: "Summarise" }).click();
    await page.getByText(/^Done, in /).waitFor();
    await page.getByRole("button", { name: "Assemble" }).click();
    await page.locator("#window li").first().waitFor();
    await page.getByText("All calls of this page").click();
    await page.getByText("Read the text").click();
    assert.deepEqual(await seriousViolations(page), []);
    await close();
  });
}

test("a narrow screen needs no sideways scrolling", async () => {
  const { page, close } = await open({ viewport: { width: 360, height: 740 } });
  await signIn(page, "acme", "alice");
  await storeText(page, licences(), "On a telephone");

  const [wide, shown] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= shown, `${wide} px on ${shown} px`);
  await close();
});

test("the page and its files come under the strict policy", async () => {
  const { page, response, close } = await open();
  const policy = response.headers()["content-security-policy"];
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|\*/);

  const inline = await page.evaluate(
    () => document.querySelectorAll("script:not([src]), style, [style], [onclick], [onload]").length,
  );
  assert.equal(inline, 0);
  const ran = await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.ran = true";
    document.body.append(script);
    return window.ran === true;
  });
  assert.equal(ran, false);
  await close();
});
