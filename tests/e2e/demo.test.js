// A person with a browser at the demo. Each test is a statement about what they find.

import assert from "node:assert/strict";
import { exec } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import {
  logIn, openAs, startBrowser, startDemo, visitor, visitorWithoutCookies,
} from "./demo.js";

let demo;
let browser;

before(async () => {
  [demo, browser] = await Promise.all([startDemo(), startBrowser()]);
});

after(async () => {
  await browser?.close();
  await demo?.stop();
});

/** Runs `story` with a fresh visitor, who leaves whatever happens. */
async function withVisitor(story, options) {
  const someone = await visitor(browser, demo.url, options);
  try {
    await story(someone.page, someone.context);
  } finally {
    await someone.leave();
  }
}

const heading = (page) => page.getByRole("heading", { level: 1 }).textContent();
const path = (page) => new URL(page.url()).pathname;
/** Waits until the field `name` has the focus: a person types when the cursor blinks, not before. */
const cursorIn = (page, name) => page.waitForFunction((name) => document.activeElement?.name === name, name);
const isAtLogin = (page) => path(page) === "/accounts/login/";

test("a private page sends a stranger to the login page and back", () => withVisitor(async (page) => {
  await page.goto("/private/?from=home");
  assert.equal(new URL(page.url()).pathname, "/accounts/login/");
  assert.equal(new URL(page.url()).searchParams.get("next"), "/private/?from=home");
  await logIn(page, "bob");
  assert.equal(page.url(), `${demo.url}/private/?from=home`);
  assert.equal(await heading(page), "A private page");
  assert.match(await page.locator("header").textContent(), /Bob Baker/);
}));

test("a wrong password is announced, keeps the name, and can be corrected", () => withVisitor(async (page) => {
  await page.goto("/private/");
  await logIn(page, "bob", "wrong");
  assert.ok(isAtLogin(page));
  const alert = page.getByRole("alert");
  assert.equal(await alert.count(), 1);
  assert.ok((await alert.textContent()).trim().length > 0);
  assert.equal(await page.getByLabel("Username").inputValue(), "bob");
  assert.equal(await page.getByLabel("Password").inputValue(), "");
  await cursorIn(page, "password");
  await page.keyboard.type("demo-bob");
  await page.keyboard.press("Enter");
  await page.waitForURL("/private/");
}));

test("an unknown user is refused with the same words as a wrong password", () => withVisitor(async (page) => {
  const refusal = async (username) => {
    await page.goto("/private/");
    await logIn(page, username, "wrong");
    return (await page.getByRole("alert").textContent()).trim();
  };
  assert.equal(await refusal("nobody"), await refusal("carol"));
}));

test("who lacks a permission is told so, and is not sent in circles", () => withVisitor(async (page) => {
  await openAs(page, "dave", "/private/");
  const requests = [];
  page.on("request", (request) => request.isNavigationRequest() && requests.push(request.url()));
  const response = await page.goto("/polls/vote/");
  assert.equal(response.status(), 403);
  assert.deepEqual(requests, [`${demo.url}/polls/vote/`]);
  assert.equal(path(page), "/polls/vote/");
  assert.match(await page.locator("main").textContent(), /Dave Dyer/);
}));

test("from a refusal one gets to another account", () => withVisitor(async (page) => {
  await openAs(page, "dave", "/reports/");
  await page.getByRole("link", { name: "Use another account" }).click();
  await page.getByRole("button", { name: "Log out" }).click();
  if (!isAtLogin(page)) await page.getByRole("link", { name: /log in/i }).first().click();
  await logIn(page, "carol");
  await page.goto("/reports/");
  assert.equal(await heading(page), "Reports");
}));

test("bob may vote, and his vote is counted under his name", () => withVisitor(async (page) => {
  await openAs(page, "bob", "/polls/vote/");
  await page.getByLabel("A cherry tree").check();
  await page.getByRole("button", { name: "Vote" }).click();
  assert.equal(path(page), "/polls/");
  assert.match(await page.getByRole("listitem").filter({ hasText: "cherry" }).textContent(), /1 vote · bob/);
}));

test("a superuser may vote without having been given the permission", () => withVisitor(async (page) => {
  await openAs(page, "ada", "/polls/vote/");
  assert.equal(await heading(page), "What shall we plant in the square?");
}));

test("reports are for the group alone", async () => {
  await withVisitor(async (page) => {
    await openAs(page, "carol", "/reports/");
    assert.equal(await heading(page), "Reports");
  });
  await withVisitor(async (page) => {
    await openAs(page, "bob", "/private/");
    assert.equal((await page.goto("/reports/")).status(), 403);
  });
});

test("the staff room is for staff alone", async () => {
  await withVisitor(async (page) => {
    await openAs(page, "ada", "/staff/");
    assert.equal(await heading(page), "Staff room");
  });
  await withVisitor(async (page) => {
    await openAs(page, "carol", "/private/");
    assert.equal((await page.goto("/staff/")).status(), 403);
  });
});

test("logging out asks first, and then private pages ask to log in", () => withVisitor(async (page, context) => {
  await openAs(page, "bob", "/private/");
  await page.getByRole("link", { name: "Log out" }).click();
  assert.equal(path(page), "/accounts/logout/");
  // To look at the question is not to answer it.
  await page.goto("/private/");
  assert.equal(await heading(page), "A private page");
  const stolen = await context.cookies();

  await page.goto("/accounts/logout/");
  await page.getByRole("button", { name: "Log out" }).click();
  assert.match(await heading(page), /logged out/i);
  await page.goto("/private/");
  assert.ok(isAtLogin(page));
  // The session is over on the server, not only forgotten by the browser.
  await context.clearCookies();
  await context.addCookies(stolen);
  await page.goto("/private/");
  assert.ok(isAtLogin(page));
}));

test("a public page greets whoever is signed in, and nobody else", () => withVisitor(async (page) => {
  await page.goto("/");
  assert.equal(await heading(page), "Welcome, whoever you are");
  await page.getByRole("link", { name: "Log in" }).click();
  await logIn(page, "carol");
  assert.equal(path(page), "/");
  assert.equal(await heading(page), "Hello, Carol Carter");
}));

test("nobody becomes somebody by sending headers", () => withVisitor(async (page) => {
  const forged = { "Remote-User": "ada", "remote_user": "ada", "Remote-Staff": "yes", "X-Other": "1" };
  const response = await page.request.get("/headers/", { headers: forged });
  assert.equal(response.status(), 200);
  const received = await response.text();
  assert.match(received, /<code>x-other/i);
  assert.doesNotMatch(received, /<code>remote/i);
}));

test("a stranger's favourite colour is remembered, comes along at login and is gone after logout", () => withVisitor(async (page, context) => {
  await page.goto("/color/");
  assert.equal(await heading(page), "What is your favourite colour?");
  assert.deepEqual(await context.cookies(), []);
  await page.getByLabel("green").check();
  await page.getByRole("button", { name: "Remember it" }).click();
  assert.equal(await heading(page), "Your favourite colour is green");
  await page.goto("/color/");
  assert.equal(await heading(page), "Your favourite colour is green");
  assert.ok(await page.getByLabel("green").isChecked());
  await withVisitor(async (other) => {
    await other.goto("/color/");
    assert.equal(await heading(other), "What is your favourite colour?");
  });

  await openAs(page, "dave", "/private/");
  await page.goto("/color/");
  assert.equal(await heading(page), "Your favourite colour is green");
  await page.goto("/headers/");
  assert.match(await page.locator(".gateway", { hasText: "x-fav-color" }).textContent(), /green/);
  await page.goto("/accounts/logout/");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.goto("/color/");
  assert.equal(await heading(page), "What is your favourite colour?");
}));

test("a colour can be forgotten again", () => withVisitor(async (page) => {
  await page.goto("/color/");
  await page.getByLabel("purple").check();
  await page.getByRole("button", { name: "Remember it" }).click();
  await page.getByRole("button", { name: "Forget it" }).click();
  assert.equal(await heading(page), "What is your favourite colour?");
}));

test("a script gets 401 and the login page's address instead of the page", () => withVisitor(async (page) => {
  await page.goto("/");
  const answer = await page.evaluate(async () => {
    const response = await fetch("/api/me");
    return { status: response.status, body: await response.json() };
  });
  assert.equal(answer.status, 401);
  assert.match(answer.body.login_url, /^\/accounts\/login\//);
  await openAs(page, "bob", "/private/");
  const me = await page.evaluate(async () => (await fetch("/api/me")).json());
  assert.equal(me.username, "bob");
}));

test("a browser without cookies is told to enable them", async () => {
  const someone = await visitorWithoutCookies(demo.url);
  try {
    await openAs(someone.page, "bob", "/private/");
    assert.notEqual(path(someone.page), "/private/");
    assert.match(await someone.page.locator("main").textContent(), /enable(?:d)?\b.*cookies|cookies.*enable/is);
  } finally {
    await someone.leave();
  }
});

test("logging in and out needs no JavaScript", () => withVisitor(async (page) => {
  await openAs(page, "bob", "/private/");
  assert.equal(await heading(page), "A private page");
  await page.getByRole("link", { name: "Log out" }).click();
  await page.getByRole("button", { name: "Log out" }).click();
  assert.match(await heading(page), /logged out/i);
}, { javaScriptEnabled: false }));

test("logging in needs nothing but the keyboard", () => withVisitor(async (page) => {
  await page.goto("/");
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim());
  for (let presses = 0; (await focused()) !== "Log in"; presses += 1) {
    assert.ok(presses < 10, "the link is not reached");
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  await page.waitForURL("**/accounts/login/**");
  // The page puts the cursor where one types first.
  await cursorIn(page, "username");
  await page.keyboard.type("dave");
  await page.keyboard.press("Tab");
  await page.keyboard.type("demo-dave");
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Log in");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Hello, Dave Dyer" }).waitFor();
}));

test("the WebSocket tells the time and says back what one says", () => withVisitor(async (page) => {
  await openAs(page, "bob", "/socket/");
  await page.getByText("Hello, bob").waitFor();
  assert.equal(await page.getByRole("status").textContent(), "connected");
  await page.getByText(/^\d\d:\d\d:\d\d UTC$/).waitFor();
  await page.getByLabel("Say something").fill("good evening");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByRole("listitem").filter({ hasText: "good evening" }).waitFor();
}));

test("the WebSocket is closed to who is not logged in", () => withVisitor(async (page) => {
  await page.goto("/");
  const end = await page.evaluate(() => new Promise((resolve) => {
    const socket = new WebSocket(`ws://${location.host}/socket/ws`);
    socket.onopen = () => resolve("open");
    socket.onclose = () => resolve("closed");
  }));
  assert.equal(end, "closed");
}));

/** What the page on screen says of its connection. */
const says = (page, words) => page.getByRole("status").filter({ hasText: words }).waitFor();

/** Logs out in another tab of the same browser. */
async function logOutElsewhere(page) {
  const [tab] = await Promise.all([
    page.waitForEvent("popup"),
    page.getByRole("link", { name: "Log out in another tab" }).click(),
  ]);
  await tab.getByRole("button", { name: "Log out" }).click();
  await tab.getByRole("heading", { name: /logged out/i }).waitFor();
}

test("an open WebSocket is closed when its visitor logs out in another tab", () => withVisitor(async (page) => {
  await openAs(page, "carol", "/socket/");
  await says(page, "connected");
  await logOutElsewhere(page);
  await says(page, "closed, because your session has ended (code 1008)");
}));

test("an open event stream is cut when its visitor logs out in another tab", () => withVisitor(async (page) => {
  await openAs(page, "carol", "/events/");
  await says(page, "connected");
  await page.getByText(/^\d\d:\d\d:\d\d UTC$/).waitFor();
  await logOutElsewhere(page);
  await says(page, "cut off, and a new stream was refused");
}));

test("the command that a page shows closes its WebSocket", () => withVisitor(async (page) => {
  await openAs(page, "dave", "/socket/");
  await says(page, "connected");
  const shown = await page.getByRole("region", { name: "Command" }).textContent();
  await promisify(exec)(shown.trim());
  await says(page, "closed, because your session has ended (code 1008)");
}));

test("the event stream ticks", () => withVisitor(async (page) => {
  await openAs(page, "dave", "/events/");
  const time = page.getByText(/^\d\d:\d\d:\d\d UTC$/);
  const first = await time.textContent();
  await page.waitForFunction((first) => document.getElementById("time").textContent !== first, first);
  assert.equal(await page.getByRole("status").textContent(), "connected");
}));
