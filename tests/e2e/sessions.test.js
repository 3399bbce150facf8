// A person who looks where they are logged in, with two browsers. With SCREENSHOTS=DIRECTORY the
// pictures of the page are kept there.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openAs, startBrowser, startDemo, visitor } from "./demo.js";
import { flaws } from "./looks.js";

const SCREENSHOTS = process.env.SCREENSHOTS;

const PHONE = {
  viewport: { width: 390, height: 844 },
  hasTouch: true,
  isMobile: true,
  userAgent: "Mozilla/5.0 (Linux; Android 15; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    + "Chrome/143.0.0.0 Mobile Safari/537.36",
};
const DESKTOP = {
  viewport: { width: 1280, height: 800 },
  userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
};
const TABLET = {
  userAgent: "Mozilla/5.0 (iPad; CPU OS 19_0 like Mac OS X) AppleWebKit/605.1.15 "
    + "(KHTML, like Gecko) Version/19.0 Safari/605.1.15",
};

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

/** A browser in which `username` has logged in, until the test ends. */
async function signedIn(t, username, options) {
  const someone = await visitor(browser, demo.url, options);
  t.after(() => someone.leave());
  await openAs(someone.page, username, "/private/");
  return someone.page;
}

/** The same, and other sessions that `username` may have from other tests are over. */
async function signedInAlone(t, username, options) {
  const page = await signedIn(t, username, options);
  await page.goto("/accounts/sessions/");
  const all = page.getByRole("button", { name: "Log out all other sessions" });
  if (await all.count()) await all.click();
  return page;
}

const heading = (page) => page.getByRole("heading", { level: 1 }).textContent();
const rows = (page) => page.locator("main").getByRole("listitem");

async function isLoggedOut(page) {
  await page.goto("/private/");
  assert.equal(new URL(page.url()).pathname, "/accounts/login/");
}

test("one finds from the profile a session that is still open elsewhere, and logs it out", async (t) => {
  const desk = await signedInAlone(t, "bob", DESKTOP);
  const phone = await signedIn(t, "bob", PHONE);
  await desk.goto("/accounts/profile/");
  await desk.getByRole("link", { name: "Where you are logged in" }).click();
  assert.equal(await heading(desk), "Your sessions");
  assert.equal(await rows(desk).count(), 2);

  const here = rows(desk).filter({ hasText: "This session" });
  assert.match(await here.textContent(), /Firefox on Linux/);
  assert.equal(await here.getByRole("button").count(), 0);
  const there = rows(desk).filter({ hasText: "Chrome on Android" });
  assert.match(await there.textContent(), /127\.0\.0\.1.*just now/s);
  const seen = there.locator("time").first();
  assert.match(await seen.getAttribute("datetime"), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.match(await seen.getAttribute("title"), /UTC$/);

  await there.getByRole("button", { name: "Log out" }).click();
  assert.equal(await desk.getByRole("status").textContent(), "The session with Chrome on Android was logged out.");
  assert.equal(await rows(desk).count(), 1);
  await isLoggedOut(phone);
  await desk.goto("/private/");
  assert.equal(await heading(desk), "A private page");
});

test("all others are logged out at once, and nobody else", async (t) => {
  const here = await signedInAlone(t, "carol", DESKTOP);
  const others = [await signedIn(t, "carol", PHONE), await signedIn(t, "carol", TABLET)];
  const dave = await signedIn(t, "dave", PHONE);
  await here.goto("/accounts/sessions/");
  await here.getByRole("button", { name: "Log out all other sessions" }).click();
  assert.equal(await here.getByRole("status").textContent(), "2 other sessions were logged out.");
  assert.equal(await here.getByRole("button").count(), 0);
  for (const page of others) await isLoggedOut(page);
  await dave.goto("/private/");
  assert.equal(await heading(dave), "A private page");
});

test("a session that ended meanwhile is said to be gone", async (t) => {
  const [one, two] = [await signedInAlone(t, "dave", DESKTOP), await signedIn(t, "dave", PHONE)];
  await signedIn(t, "dave", TABLET);
  await one.goto("/accounts/sessions/");
  await two.goto("/accounts/logout/");
  await two.getByRole("button", { name: "Log out" }).click();
  await two.getByText("You are logged out").waitFor();
  await rows(one).filter({ hasText: "Chrome on Android" }).getByRole("button").click();
  assert.match(await one.getByRole("alert").textContent(), /no such session/);
  assert.match(await one.title(), /^Error: /);
  assert.equal(await rows(one).filter({ hasText: "Safari on iPad" }).count(), 1);
});

test("it needs neither JavaScript nor a mouse", async (t) => {
  const here = await signedInAlone(t, "ada", { ...DESKTOP, javaScriptEnabled: false });
  const there = await signedIn(t, "ada", PHONE);
  await here.goto("/accounts/sessions/");
  const button = rows(here).getByRole("button", { name: "Log out" });
  // What a screen reader says with it tells the buttons apart.
  const described = (await button.getAttribute("aria-describedby")).split(" ");
  const words = await Promise.all(described.map((id) => here.locator(`#${id}`).textContent()));
  assert.match(words.join(" "), /Chrome on Android.*Last seen/s);
  // Past the link to change the password.
  await here.keyboard.press("Tab");
  await here.keyboard.press("Tab");
  await here.keyboard.press("Enter");
  await here.getByText("The session with Chrome on Android was logged out.").waitFor();
  await isLoggedOut(there);
});

test("a stranger logs in and sees the page", async (t) => {
  const someone = await visitor(browser, demo.url, DESKTOP);
  t.after(() => someone.leave());
  await openAs(someone.page, "bob", "/accounts/sessions/");
  assert.equal(await heading(someone.page), "Your sessions");
});

for (const [screen, size] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
  for (const colorScheme of ["light", "dark"]) {
    test(`the page is readable on a ${screen} in ${colorScheme} colours`, async (t) => {
      const errors = [];
      const page = await signedInAlone(t, "ada", { ...size, colorScheme });
      page.on("pageerror", (error) => errors.push(error.message));
      page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
      await signedIn(t, "ada", TABLET);
      await signedIn(t, "ada", size === PHONE ? DESKTOP : PHONE);
      const look = async (name) => {
        if (SCREENSHOTS) {
          const file = join(SCREENSHOTS, `${name}-${screen}-${colorScheme}.png`);
          await page.screenshot({ path: file, fullPage: true });
        }
        assert.deepEqual(await flaws(page), [], name);
      };
      await page.goto("/accounts/sessions/");
      await look("sessions");
      await rows(page).getByRole("button").first().click();
      await look("sessions-one-ended");
      await page.getByRole("button", { name: "Log out all other sessions" }).click();
      await look("sessions-all-ended");
      assert.deepEqual(errors, []);
    });
  }
}
