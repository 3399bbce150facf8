// A person without an account makes one, changes the password, and another is let in by staff and by
// invitation. With SCREENSHOTS=DIRECTORY the pictures of the pages are kept there.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { after, before, test } from "node:test";
import { logIn, startBrowser, visitor } from "./demo.js";
import { flaws } from "./looks.js";

const BINARY = process.env.VESTIBULE
  ?? fileURLToPath(new URL("../../target/debug/vestibule", import.meta.url));
const SCREENSHOTS = process.env.SCREENSHOTS;
const PASSWORD = "lantern-gravel-4711";
const NEW = "quarry-saddle-2209";
const DESKTOP = { viewport: { width: 1280, height: 800 } };
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

/** A gateway with these lines in `[accounts]`, its own state and no application behind it. */
async function startGateway(accounts) {
  const directory = await mkdtemp(join(tmpdir(), "vestibule-e2e-"));
  const file = join(directory, "vestibule.toml");
  await writeFile(file, `
upstream = "http://127.0.0.1:9"
[server]
listen = "127.0.0.1:0"
state_directory = "${directory}/var"
[passwords]
memory = "8KiB"
iterations = 1
[accounts]
${accounts}
`);
  const run = async (...words) => {
    const { stdout } = await promisify(execFile)(BINARY, [...words, "--config", file]);
    return stdout.trim();
  };
  const gateway = spawn(BINARY, ["serve", "--config", file], { stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(gateway, "close");
  let url;
  for await (const line of createInterface({ input: gateway.stderr })) {
    url ??= /listening on (http:\S+)/.exec(line)?.[1];
    if (url && line.includes("ready")) break;
  }
  gateway.stderr.resume();
  return {
    url,
    run,
    async stop() {
      gateway.kill();
      await ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

let browser;
let open;
let approved;

before(async () => {
  if (SCREENSHOTS) await mkdir(SCREENSHOTS, { recursive: true });
  [browser, open, approved] = await Promise.all([
    startBrowser(),
    startGateway('registration = "open"'),
    startGateway('registration = "approved"'),
  ]);
});

after(async () => {
  await browser?.close();
  await Promise.all([open?.stop(), approved?.stop()]);
});

async function at(t, gateway, options = {}) {
  const someone = await visitor(browser, gateway.url, { ...DESKTOP, ...options });
  t.after(() => someone.leave());
  return someone.page;
}

const heading = (page) => page.getByRole("heading", { level: 1 }).textContent();

async function fillIn(page, username, first = PASSWORD, second = first) {
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("Password", { exact: true }).fill(first);
  await page.getByLabel("Password confirmation").fill(second);
  await page.getByRole("button", { name: "Create account" }).click();
}

test("somebody finds the form from the login page, makes an account and changes the password", async (t) => {
  const page = await at(t, open, { javaScriptEnabled: false });
  await page.goto("/accounts/login/");
  await page.getByRole("link", { name: "Create an account" }).click();
  assert.equal(await heading(page), "Create an account");
  await fillIn(page, "nora", PASSWORD, "other");
  assert.match(await page.getByRole("alert").textContent(), /didn’t match/);
  assert.match(await page.title(), /^Error: /);
  await fillIn(page, "nora");
  assert.equal(await heading(page), "Your account is ready");
  await page.getByRole("link", { name: "Log in" }).click();
  await logIn(page, "nora", PASSWORD);
  await page.goto("/accounts/profile/");
  await page.getByRole("link", { name: "Change your password" }).click();
  await page.getByLabel("Old password").fill("wrong");
  await page.getByLabel("New password", { exact: true }).fill(NEW);
  await page.getByLabel("New password confirmation").fill(NEW);
  await page.getByRole("button", { name: "Change password" }).click();
  assert.match(await page.getByRole("alert").textContent(), /entered incorrectly/);
  await page.getByLabel("Old password").fill(PASSWORD);
  await page.getByLabel("New password", { exact: true }).fill(NEW);
  await page.getByLabel("New password confirmation").fill(NEW);
  await page.getByRole("button", { name: "Change password" }).click();
  assert.equal(await heading(page), "Your password was changed");
  await page.goto("/accounts/profile/");
  assert.equal(await heading(page), "nora");
});

test("an account that staff has to look at can be used once it is approved", async (t) => {
  const page = await at(t, approved);
  await page.goto("/accounts/register/");
  await fillIn(page, "otto");
  assert.equal(await heading(page), "Thank you");
  await page.goto("/accounts/login/");
  await logIn(page, "otto", PASSWORD);
  assert.match(await page.getByRole("alert").textContent(), /correct username and password/);
  await approved.run("registration", "approve", "otto");
  await logIn(page, "otto", PASSWORD);
  assert.equal(await heading(page), "otto");
});

test("a link invites one person", async (t) => {
  const link = await approved.run("invitation", "create", "--email", "gita@example.org");
  const page = await at(t, approved);
  await page.goto(link);
  assert.equal(await page.getByLabel("E-mail address").inputValue(), "gita@example.org");
  await fillIn(page, "gita");
  assert.equal(await heading(page), "Your account is ready");
  await page.goto(link);
  assert.equal(await heading(page), "This invitation is not good any more");
});

for (const [name, options] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
  for (const colorScheme of ["light", "dark"]) {
    test(`the pages look right on a ${name} in ${colorScheme} colours`, async (t) => {
      const page = await at(t, open, { ...options, colorScheme });
      const user = `looks-${name}-${colorScheme}`;
      const seen = async (picture) => {
        assert.deepEqual(await flaws(page), [], picture);
        if (!SCREENSHOTS) return;
        const path = join(SCREENSHOTS, `${picture}-${name}-${colorScheme}.png`);
        await page.screenshot({ path, fullPage: true });
      };
      await page.goto("/accounts/register/");
      await seen("register");
      await fillIn(page, "admin", "x", "y");
      await seen("register-wrong");
      await fillIn(page, user);
      await seen("register-done");
      await page.goto("/accounts/login/");
      await seen("login-with-registration");
      await logIn(page, user, PASSWORD);
      await page.goto("/accounts/password_change/");
      await seen("password-change");
      await page.goto("/accounts/password_change/done/");
      await seen("password-change-done");
    });
  }
}
