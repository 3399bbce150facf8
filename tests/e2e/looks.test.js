// How all pages look, on a phone and on a desk, by day and by night. With SCREENSHOTS=DIRECTORY
// the pictures are kept there.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { logIn, openAs, startBrowser, startDemo, visitor } from "./demo.js";
import { flaws } from "./looks.js";

const SCREENSHOTS = process.env.SCREENSHOTS;

const SCREENS = {
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
  desktop: { viewport: { width: 1280, height: 800 } },
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

/** All pages, each with the way to it; the first ones are for strangers. */
const PAGES = [
  ["home", (page) => page.goto("/")],
  ["login", (page) => page.goto("/private/")],
  ["login-refused", (page) => logIn(page, "no such user")],
  ["not-logged-in", (page) => page.goto("/accounts/logout/")],
  ["not-found", (page) => page.goto("/nowhere/")],
  ["configuration", (page) => page.goto("/configuration/")],
  ["color", async (page) => {
    await page.goto("/color/");
    await page.getByLabel("blue").check();
    await page.getByRole("button", { name: "Remember it" }).click();
    await page.getByRole("heading", { name: "Your favourite colour is blue" }).waitFor();
  }],
  ["private", (page) => openAs(page, "ada", "/private/")],
  ["home-greeting", (page) => page.goto("/")],
  ["vote", (page) => page.goto("/polls/vote/")],
  ["results", async (page) => {
    await page.getByLabel("An oak").check();
    await page.getByRole("button", { name: "Vote" }).click();
    await page.waitForURL("/polls/");
  }],
  ["staff", (page) => page.goto("/staff/")],
  ["denied", (page) => page.goto("/reports/")],
  ["headers", (page) => page.goto("/headers/")],
  ["socket", async (page) => {
    await page.goto("/socket/");
    await page.getByText("Hello, ada").waitFor();
  }],
  ["events", async (page) => {
    await page.goto("/events/");
    await page.getByText("UTC").waitFor();
  }],
  ["profile", (page) => page.goto("/accounts/profile/")],
  ["logout", (page) => page.goto("/accounts/logout/")],
  ["logged-out", async (page) => {
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("heading", { name: /logged out/i }).waitFor();
  }],
  ["socket-ended", async (page) => {
    await openAs(page, "ada", "/socket/");
    await page.getByText("Hello, ada").waitFor();
    const tab = await page.context().newPage();
    await tab.goto("/accounts/logout/");
    await tab.getByRole("button", { name: "Log out" }).click();
    await page.getByText("code 1008)").waitFor();
    await tab.close();
  }],
];

for (const [screen, size] of Object.entries(SCREENS)) {
  for (const colorScheme of ["light", "dark"]) {
    test(`every page is readable on a ${screen} in ${colorScheme} colours`, async (t) => {
      const someone = await visitor(browser, demo.url, { ...size, colorScheme });
      t.after(() => someone.leave());
      const errors = [];
      someone.page.on("pageerror", (error) => errors.push(error.message));
      someone.page.on("console", (message) => {
        // That a page is refused or not there is what some of these pages are for.
        const isStatus = message.text().startsWith("Failed to load resource");
        if (message.type() === "error" && !isStatus) errors.push(message.text());
      });
      for (const [name, open] of PAGES) {
        await open(someone.page);
        if (SCREENSHOTS) {
          const file = join(SCREENSHOTS, `${name}-${screen}-${colorScheme}.png`);
          await someone.page.screenshot({ path: file, fullPage: true });
        }
        assert.deepEqual(await flaws(someone.page), [], name);
        assert.deepEqual(errors, [], name);
      }
    });
  }
}

test("the check of looks finds what is wrong", async (t) => {
  const someone = await visitor(browser, demo.url, { viewport: { width: 390, height: 844 } });
  t.after(() => someone.leave());
  await someone.page.setContent(`
    <p style="width: 800px; color: #999; background: #fff">faint</p>
    <input name="nameless">
  `);
  const found = (await flaws(someone.page)).join("\n");
  for (const flaw of ["sideways", "no label", "contrast", "no title", "no language", "<h1>"]) {
    assert.ok(found.includes(flaw), `${flaw} is not in:\n${found}`);
  }
});
