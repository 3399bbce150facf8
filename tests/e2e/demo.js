// A running demo, and people with browsers in front of it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const BINARY = process.env.VESTIBULE
  ?? fileURLToPath(new URL("../../target/debug/vestibule", import.meta.url));

const BROWSER = {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
};

/** How long a person looks at an unchanged page before giving up, in milliseconds. */
const PATIENCE = 10_000;

/** Starts the demo on a free port, with `environment` on top of ours, and waits until it answers. */
export async function startDemo(environment = {}) {
  const demo = spawn(BINARY, ["demo", "--listen", "127.0.0.1:0"], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let complaints = "";
  demo.stderr.on("data", (text) => { complaints += text; });
  const ended = once(demo, "close");
  const announced = (async () => {
    for await (const line of createInterface({ input: demo.stdout })) {
      const address = /listening on (http:\S+)/.exec(line);
      if (address) return address[1];
    }
    throw new Error(`the demo did not start:\n${complaints}`);
  })();
  const url = await announced;
  // What else it prints is not read; a full pipe would stop it.
  demo.stdout.resume();
  return {
    url,
    async stop(signal = "SIGINT") {
      demo.kill(signal);
      const [code] = await ended;
      return { code, complaints };
    },
  };
}

/** Starts the browser. */
export function startBrowser() {
  return chromium.launch(BROWSER);
}

/** A person who opens pages of the site at `url`, in a fresh browser window of their own. */
export async function visitor(browser, url, options = {}) {
  const context = await browser.newContext({ baseURL: url, ...options });
  return person(context, await context.newPage());
}

/** A person whose browser takes no cookies; their window is a browser of its own. */
export async function visitorWithoutCookies(url) {
  const profile = await mkdtemp(join(tmpdir(), "vestibule-e2e-"));
  const preferences = { profile: { default_content_setting_values: { cookies: 2 } } };
  await mkdir(join(profile, "Default"));
  await writeFile(join(profile, "Default", "Preferences"), JSON.stringify(preferences));
  const context = await chromium.launchPersistentContext(profile, { ...BROWSER, baseURL: url });
  const { page, leave } = person(context, context.pages()[0] ?? await context.newPage());
  return {
    page,
    async leave() {
      await leave();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

function person(context, page) {
  page.setDefaultTimeout(PATIENCE);
  return { page, context, leave: () => context.close() };
}

/** Fills in the login form on `page` and sends it. */
export async function logIn(page, username, password = `demo-${username}`) {
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
}

/** Opens `path`, which asks to log in, as `username`. */
export async function openAs(page, username, path) {
  await page.goto(path);
  await logIn(page, username);
}
