// A person who fills in the profile page, and is told once what was done. With SCREENSHOTS=DIRECTORY
// the pictures of the pages are kept there.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openAs, startBrowser, startDemo, visitor } from "./demo.js";
import { flaws } from "./looks.js";

const SCREENSHOTS = process.env.SCREENSHOTS;
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const DESKTOP = { viewport: { width: 1280, height: 800 } };

let demo;
let browser;

before(async () => {
  if (SCREENSHOTS) await mkdir(SCREENSHOTS, { recursive: true });
  [demo, browser] = await Promise.all([startDemo(), startBrowser()]);
});

after(async () => {
  await browser?.close();
  await demo?.stop();
});

/** A browser in which `username` has logged in and looks at the profile, until the test ends. */
async function atProfile(t, username, options) {
  const someone = await visitor(browser, demo.url, options);
  t.after(() => someone.leave());
  await openAs(someone.page, username, "/accounts/profile/");
  return someone.page;
}

const notes = (page) => page.getByRole("status").allTextContents();

test("one fills in the profile, is told so once, and finds it there again", async (t) => {
  const page = await atProfile(t, "bob", DESKTOP);
  await page.getByLabel("First name").fill("Robert");
  await page.getByLabel("Favorite tree").selectOption("Hazel");
  await page.getByLabel("Planted a tree on").fill("2020-04-25");
  await page.getByLabel("Homepage").fill("https://example.org/~bob");
  await page.getByLabel("About you").fill("A line\nand another");
  await page.getByLabel("Send me news about trees").check();
  await page.getByRole("button", { name: "Save" }).click();
  assert.deepEqual(await notes(page), ["Your profile was changed."]);
  assert.match(await page.getByRole("heading", { level: 1 }).textContent(), /^Robert/);
  await page.reload();
  assert.deepEqual(await notes(page), []);
  assert.equal(await page.getByLabel("Favorite tree").inputValue(), "Hazel");
  assert.equal(await page.getByLabel("Planted a tree on").inputValue(), "2020-04-25");
  assert.equal(await page.getByLabel("About you").inputValue(), "A line\nand another");
  assert.ok(await page.getByLabel("Send me news about trees").isChecked());
  await page.getByLabel("Send me news about trees").uncheck();
  await page.getByRole("button", { name: "Save" }).click();
  await page.reload();
  assert.ok(!(await page.getByLabel("Send me news about trees").isChecked()));
});

test("what is wrong is said beside its field, without JavaScript", async (t) => {
  const page = await atProfile(t, "dave", { ...DESKTOP, javaScriptEnabled: false });
  // The browser would not send it, but there are others.
  const form = page.locator("form", { has: page.getByRole("button", { name: "Save" }) });
  const token = await form.locator("[name=csrfmiddlewaretoken]").getAttribute("value");
  const answer = await page.request.post(new URL("/accounts/profile/", demo.url).href, {
    form: { csrfmiddlewaretoken: token, "profile.homepage": "javascript:alert(1)" },
    headers: { Origin: new URL(demo.url).origin },
  });
  const text = await answer.text();
  assert.equal(answer.status(), 200);
  assert.match(text, /id="id_profile_homepage_error">Enter a valid URL\./);
  assert.match(text, /aria-describedby="id_profile_homepage_error/);
  assert.match(text, /<title>Error: /);
});

test("whoever voted is told by the application, once", async (t) => {
  const page = await atProfile(t, "bob", DESKTOP);
  await page.goto("/polls/vote/");
  await page.getByLabel("An oak").check();
  await page.getByRole("button", { name: "Vote" }).click();
  assert.equal(new URL(page.url()).pathname, "/polls/");
  assert.deepEqual(await notes(page), ["Your vote was counted."]);
  await page.reload();
  assert.deepEqual(await notes(page), []);
});

test("a script of a page is told as well", async (t) => {
  const page = await atProfile(t, "carol", DESKTOP);
  await page.goto("/private/");
  const told = await page.evaluate(async () => (await fetch("/accounts/messages/")).json());
  assert.deepEqual(told, { messages: [] });
});

for (const [screen, size] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
  for (const colorScheme of ["light", "dark"]) {
    test(`the pages are readable on a ${screen} in ${colorScheme} colours`, async (t) => {
      const errors = [];
      const page = await atProfile(t, "ada", { ...size, colorScheme });
      page.on("pageerror", (error) => errors.push(error.message));
      page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
      const look = async (name) => {
        if (SCREENSHOTS) {
          const file = join(SCREENSHOTS, `${name}-${screen}-${colorScheme}.png`);
          await page.screenshot({ path: file, fullPage: true });
        }
        assert.deepEqual(await flaws(page), [], name);
      };
      await look("profile");
      await page.getByLabel("About you").fill(`Seen on a ${screen} in ${colorScheme} colours`);
      await page.getByRole("button", { name: "Save" }).click();
      await look("profile-changed");
      assert.deepEqual(errors, []);
    });
  }
}
