// A person who forgot the password, and one who moves to another address: by the letters that the
// gateway writes. With SCREENSHOTS=DIRECTORY the pictures of the pages are kept there.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { logIn, startBrowser, visitor } from "./demo.js";
import { startGateway } from "./gateway.js";
import { flaws } from "./looks.js";

const SCREENSHOTS = process.env.SCREENSHOTS;

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

let gateway;
let browser;

before(async () => {
  if (SCREENSHOTS) await mkdir(SCREENSHOTS, { recursive: true });
  [gateway, browser] = await Promise.all([
    startGateway({ ada: "lantern-gravel-4711", grace: "lantern-gravel-4711" }),
    startBrowser(),
  ]);
});

after(async () => {
  await browser?.close();
  await gateway?.stop();
});

const heading = (page) => page.getByRole("heading", { level: 1 }).textContent();

/** The page looks right in light and dark; a picture of it is kept. */
async function looksRight(page, name) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await flaws(page), [], `${name}, ${colorScheme}`);
    if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `${name}-${colorScheme}.png`) });
  }
}

for (const [device, options, person] of [["desktop", {}, "ada"], ["phone", PHONE, "grace"]]) {
  test(`one sets a new password by a letter, on a ${device}`, async (t) => {
    const { page, leave } = await visitor(browser, gateway.url, options);
    t.after(leave);
    const requests = [];
    page.on("request", (request) => requests.push(request));
    await page.goto("/accounts/login/");
    await page.getByRole("link", { name: "Forgotten your password?" }).click();
    assert.equal(await heading(page), "Password reset");
    await looksRight(page, `password-reset-${device}`);
    await page.getByLabel("Email").fill(`${person}@example.org`);
    await page.getByRole("button", { name: "Reset my password" }).click();
    assert.equal(await heading(page), "Password reset sent");
    await looksRight(page, `password-reset-done-${device}`);

    const letter = await gateway.letterTo(`${person}@example.org`, "Password reset");
    const token = letter.link.split("/").at(-2);
    await page.goto(letter.link);
    assert.equal(await heading(page), "Enter new password");
    assert.ok(!page.url().includes(token), page.url());
    // It is there for password managers.
    assert.equal(await page.locator("input[name=username]").isVisible(), false);
    await looksRight(page, `password-reset-confirm-${device}`);
    const fill = async (first, second) => {
      await page.getByLabel("New password", { exact: true }).fill(first);
      await page.getByLabel("New password confirmation").fill(second);
      await page.getByRole("button", { name: "Change my password" }).click();
    };
    await fill("granite-lantern-2038", "granite-lantern-2039");
    assert.match(await page.locator("main").textContent(), /The two password fields didn’t match/);
    await looksRight(page, `password-reset-mismatch-${device}`);
    await fill("granite-lantern-2038", "granite-lantern-2038");
    assert.equal(await heading(page), "Password reset complete");
    await looksRight(page, `password-reset-complete-${device}`);
    // No later request tells anybody the token.
    const after = requests.slice(requests.findIndex((it) => it.url() === letter.link) + 1);
    for (const request of after) {
      const { referer } = await request.allHeaders();
      assert.ok(!`${request.url()} ${referer}`.includes(token), request.url());
    }

    await page.getByRole("link", { name: "Log in" }).click();
    await logIn(page, person, "granite-lantern-2038");
    assert.equal(await heading(page), person);
    await gateway.letterTo(`${person}@example.org`, "was changed");

    await page.goto(letter.link);
    assert.equal(await heading(page), "Password reset unsuccessful");
    await looksRight(page, `password-reset-unsuccessful-${device}`);
  });
}

test("one moves to another address with the password and a letter", async (t) => {
  const { page, leave } = await visitor(browser, gateway.url, PHONE);
  t.after(leave);
  await page.goto("/accounts/login/");
  await logIn(page, "grace", "granite-lantern-2038");
  await page.getByRole("link", { name: "Change your email address" }).click();
  await looksRight(page, "email-change");
  await page.getByLabel("New email address").fill("hopper@example.com");
  await page.getByLabel("Password", { exact: true }).fill("granite-lantern-2038");
  await page.getByRole("button", { name: "Send the link" }).click();
  assert.equal(await heading(page), "Look into your mailbox");
  const letter = await gateway.letterTo("hopper@example.com", "Confirm");
  await page.goto(letter.link);
  assert.equal(await heading(page), "Confirm your email address");
  await looksRight(page, "email-change-confirm");
  await page.getByRole("button", { name: "Confirm" }).click();
  assert.equal(await heading(page), "Your email address was changed");
  await page.getByRole("link", { name: "Your profile" }).click();
  assert.match(await page.locator("main").textContent(), /hopper@example\.com/);
  await gateway.letterTo("grace@example.org", "was changed");
});
