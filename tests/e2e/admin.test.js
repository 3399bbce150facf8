// Staff who look after users, groups and sessions. With SCREENSHOTS=DIRECTORY the pictures of the pages
// are kept there.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { logIn, openAs, startBrowser, startDemo, visitor } from "./demo.js";
import { startGateway } from "./gateway.js";
import { flaws } from "./looks.js";

const SCREENSHOTS = process.env.SCREENSHOTS;

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const DESKTOP = { viewport: { width: 1280, height: 800 } };

const PASSWORD = "lantern-gravel-4711";

let demo;
let gateway;
let browser;

before(async () => {
  if (SCREENSHOTS) await mkdir(SCREENSHOTS, { recursive: true });
  const accounts = '[accounts]\nregistration = "approved"\nconfirm_email = false';
  [demo, gateway, browser] = await Promise.all([
    startDemo(),
    startGateway({ root: PASSWORD, bob: PASSWORD }, accounts),
    startBrowser(),
  ]);
  gateway.run(["user", "set", "root", "is_staff=true", "is_superuser=true"]);
});

after(async () => {
  await browser?.close();
  await Promise.all([demo?.stop(), gateway?.stop()]);
});

/** A browser in which `username` has logged in and opened the administration. */
async function atTheDesk(t, username = "ada", options = DESKTOP) {
  const someone = await visitor(browser, demo.url, { javaScriptEnabled: false, ...options });
  t.after(() => someone.leave());
  await openAs(someone.page, username, "/accounts/admin/");
  return someone.page;
}

/** The same at the gateway where people register and have to wait after failures. */
async function atTheGateway(t, options = {}) {
  const someone = await visitor(browser, gateway.url, { ...DESKTOP, ...options });
  t.after(() => someone.leave());
  await someone.page.goto("/accounts/admin/");
  await logIn(someone.page, "root", PASSWORD);
  return someone.page;
}

/** Types wrong passwords until there is a lockout, in a browser of its own. */
async function fail(username) {
  const { page, leave } = await visitor(browser, gateway.url, DESKTOP);
  await page.goto("/accounts/login/");
  for (;;) {
    await logIn(page, username, "wrong-password-1");
    if (/Too many attempts/.test(await page.getByRole("alert").textContent())) break;
  }
  await leave();
}

/** Asks for an account, in a browser of its own. */
async function register(username) {
  const { page, leave } = await visitor(browser, gateway.url, DESKTOP);
  await page.goto("/accounts/register/");
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("E-mail address").fill(`${username}@example.org`);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByLabel("Password confirmation").fill(PASSWORD);
  await page.getByRole("button", { name: "Create account" }).click();
  assert.equal((await page.getByRole("heading", { level: 1 }).textContent()).trim(), "Thank you");
  await leave();
}

const heading = async (page) => (await page.getByRole("heading", { level: 1 }).textContent()).trim();
const said = (page) => page.getByRole("status").first().textContent();
const section = (page, name) =>
  page.getByRole("navigation", { name: "Sections" }).getByRole("link", { name });
const save = (page) => page.getByRole("button", { name: "Save" }).click();

test("staff find a user, change the name, and are told so", async (t) => {
  const page = await atTheDesk(t);
  assert.equal(await heading(page), "Administration");
  await section(page, "Users").click();
  await page.getByLabel("Search").fill("CAR");
  await page.getByRole("button", { name: "Search" }).click();
  assert.equal(await page.locator("tbody tr").count(), 1);
  await page.getByRole("link", { name: "carol" }).click();
  await page.getByLabel("Last name").fill("Cantor");
  await page.getByLabel("Favorite tree").selectOption("Linden");
  await page.getByLabel("Planted a tree on").fill("2020-03-20");
  await page.getByLabel("Send me news about trees").check();
  await save(page);
  assert.equal(await said(page), "The user “carol” was changed successfully.");
  assert.match(await heading(page), /Cantor/);
  assert.equal(await page.getByLabel("Favorite tree").inputValue(), "Linden");
  assert.equal(await page.getByLabel("Planted a tree on").inputValue(), "2020-03-20");
  assert.ok(await page.getByLabel("Send me news about trees").isChecked());
  assert.match(await page.locator(".entries").textContent(), /ada.*changed the user.*last name.*Cantor/s);
});

test("staff add a user with a group, and delete the account again", async (t) => {
  const page = await atTheDesk(t);
  await section(page, "Users").click();
  await page.getByRole("link", { name: "Add user" }).click();
  await page.getByLabel("Username").fill("eve");
  await page.getByLabel("E-mail address").fill("eve@treeville.example");
  await page.getByRole("group", { name: "Groups" }).first().getByRole("checkbox").first().check();
  await page.getByRole("button", { name: "Add user" }).click();
  assert.equal(await said(page), "The user “eve” was added successfully.");
  assert.equal(await heading(page), "eve");
  assert.match(await page.locator("main").textContent(), /There is no password/);

  await page.getByRole("link", { name: "Delete" }).click();
  assert.equal(await heading(page), "Delete the user “eve”?");
  await page.getByLabel("Your own password").fill("not my password");
  await page.getByRole("button", { name: "Yes, delete" }).click();
  assert.match(await page.getByRole("alert").textContent(), /entered incorrectly/);
  await page.getByLabel("Your own password").fill("demo-ada");
  await page.getByRole("button", { name: "Yes, delete" }).click();
  assert.equal(await said(page), "The user “eve” was deleted successfully.");
});

test("a group gets a permission, and its new member has it at once", async (t) => {
  const page = await atTheDesk(t);
  const bob = await visitor(browser, demo.url, DESKTOP);
  t.after(() => bob.leave());
  await openAs(bob.page, "bob", "/private/");
  await section(page, "Groups").click();
  await page.getByRole("link", { name: "Add group" }).click();
  await page.getByLabel("Name", { exact: true }).fill("Helpers");
  await page.getByRole("checkbox", { name: "auth.view_user" }).check();
  await page.getByRole("button", { name: "Add group" }).click();
  assert.equal(await said(page), "The group “Helpers” was added successfully.");
  await page.getByRole("link", { name: "Helpers" }).click();
  await page.getByLabel("Username").fill("bob");
  await page.getByRole("button", { name: "Add member" }).click();
  assert.equal(await said(page), "“bob” was added to the group “Helpers”.");
  await bob.page.goto("/accounts/profile/");
  assert.match(await bob.page.locator("main").textContent(), /auth\.view_user/);
  await section(page, "Permissions").click();
  await page.getByRole("link", { name: "auth.view_user" }).click();
  assert.match(await page.locator("main").textContent(), /Helpers/);
});

test("whoever is on is seen, and logged out", async (t) => {
  const page = await atTheDesk(t);
  const dave = await visitor(browser, demo.url, PHONE);
  t.after(() => dave.leave());
  await openAs(dave.page, "dave", "/private/");
  await section(page, "Sessions").click();
  await page.getByLabel("Of the user").fill("dave");
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByRole("button", { name: /^End the session of dave/ }).first().click();
  assert.equal(await said(page), "One session of “dave” was ended.");
  await dave.page.goto("/private/");
  assert.equal(new URL(dave.page.url()).pathname, "/accounts/login/");
});

test("whoever registered is approved or rejected, and gets a letter", async (t) => {
  await register("nora");
  await register("otto");
  const page = await atTheGateway(t, { javaScriptEnabled: false });
  await section(page, "Registrations").click();
  assert.equal(await page.locator("tbody tr").count(), 2);
  await page.getByRole("button", { name: "Approve nora" }).click();
  assert.equal(await said(page), "“nora” was approved, and can log in now.");
  await page.getByRole("button", { name: "Reject otto" }).click();
  assert.equal(await said(page), "“otto” was rejected, and the account was deleted.");
  assert.match(await page.locator("main").textContent(), /Nobody waits/);
  await gateway.letterTo("nora@example.org", "");
  await gateway.letterTo("otto@example.org", "");
  const nora = await visitor(browser, gateway.url, DESKTOP);
  t.after(() => nora.leave());
  await nora.page.goto("/accounts/login/");
  await logIn(nora.page, "nora", PASSWORD);
  assert.equal(await heading(nora.page), "nora");
});

test("staff tell a user and a group something, who are shown it once", async (t) => {
  const page = await atTheDesk(t);
  await section(page, "Users").click();
  await page.getByRole("link", { name: "dave" }).click();
  await page.getByLabel("Message", { exact: true }).fill("Water the linden, please");
  await page.getByLabel("Level").selectOption("Warning");
  await page.getByRole("button", { name: "Send message" }).click();
  assert.equal(await said(page), "A message was sent to “dave”.");
  assert.match(await page.locator("main").textContent(), /Warning\s+Water the linden, please/);
  await section(page, "Messages").click();
  await page.getByLabel("Or to all members of the group").selectOption("Site editors");
  await page.getByLabel("Message", { exact: true }).fill("The reports are late");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  assert.equal(await said(page), "A message was sent to the group “Site editors”.");
  for (const [name, text] of [["dave", /Water the linden/], ["carol", /reports are late/]]) {
    const someone = await visitor(browser, demo.url, PHONE);
    t.after(() => someone.leave());
    await openAs(someone.page, name, "/accounts/profile/");
    assert.match(await said(someone.page), text);
    await someone.page.goto("/accounts/sessions/");
    assert.doesNotMatch(await someone.page.locator("main").textContent(), text);
  }
});

test("whoever is locked out is seen and let in again", async (t) => {
  const page = await atTheGateway(t, { javaScriptEnabled: false });
  await fail("bob");
  await section(page, "Lockouts").click();
  assert.match(await page.locator("tbody").textContent(), /bob.*127\.0\.0\.1/s);
  await page.getByRole("link", { name: "bob", exact: true }).click();
  await page.getByRole("link", { name: "Locked out" }).click();
  await page.getByRole("button", { name: "Lift the lockouts of bob" }).click();
  assert.equal(await said(page), "One lockout of “bob” was lifted.");
  const bob = await visitor(browser, gateway.url, DESKTOP);
  t.after(() => bob.leave());
  await bob.page.goto("/accounts/login/");
  await logIn(bob.page, "bob", PASSWORD);
  assert.equal(await heading(bob.page), "bob");
});

test("the rules say who may do what", async (t) => {
  const page = await atTheDesk(t);
  await section(page, "Rules").click();
  await page.getByLabel("User", { exact: true }).fill("bob");
  await page.getByLabel("Address").fill("/private/");
  await page.getByRole("button", { name: "Ask" }).click();
  assert.match(await page.locator(".verdict").textContent(), /allow.*The rule \/private\//s);
  await page.getByLabel("User", { exact: true }).fill("");
  await page.getByRole("button", { name: "Ask" }).click();
  assert.match(await page.locator(".verdict").textContent(), /login/);
});

test("others than staff are told that they may not", async (t) => {
  const page = await atTheDesk(t, "bob");
  assert.match(await page.locator("main").textContent(), /403/);
});

async function look(page, name, screen, colorScheme) {
  if (SCREENSHOTS) {
    const file = join(SCREENSHOTS, `admin-${name}-${screen}-${colorScheme}.png`);
    await page.screenshot({ path: file, fullPage: true });
  }
  assert.deepEqual(await flaws(page), [], name);
}

for (const [screen, size] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
  for (const colorScheme of ["light", "dark"]) {
    test(`every page is readable on a ${screen} in ${colorScheme} colours`, async (t) => {
      const page = await atTheDesk(t, "ada", { ...size, colorScheme, javaScriptEnabled: true });
      const errors = [];
      page.on("pageerror", (error) => errors.push(error.message));
      page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
      const open = async (path, name) => {
        await page.goto(`/accounts/admin/${path}`);
        await look(page, name, screen, colorScheme);
      };
      await open("", "home");
      await open("users/", "users");
      await open("users/?q=nobody-here", "users-none");
      await open("users/add/", "add-user");
      await open("users/2/", "user");
      await open("users/2/password/", "password");
      await open("users/2/delete/", "delete");
      await open("registrations/", "registrations-none");
      await open("groups/", "groups");
      await open("groups/1/", "group");
      await open("groups/add/", "add-group");
      await open("permissions/", "permissions");
      await open("permissions/auth.view_user/", "permission");
      await open("sessions/", "sessions");
      await open("lockouts/", "lockouts-none");
      await open("messages/?of=bob", "messages");
      await open("rules/?user=bob&method=GET&url=/private/", "rules");
      await open("log/", "log");
      assert.deepEqual(errors, []);
    });

    test(`lists that wait are readable on a ${screen} in ${colorScheme} colours`, async (t) => {
      await register(`waiting-${screen}-${colorScheme}`);
      const page = await atTheGateway(t, { ...size, colorScheme });
      await look(page, "home-waiting", screen, colorScheme);
      await page.goto("/accounts/admin/registrations/");
      await look(page, "registrations", screen, colorScheme);
      await fail(`nobody-${screen}-${colorScheme}`);
      await page.goto("/accounts/admin/lockouts/");
      await look(page, "lockouts", screen, colorScheme);
      await page.getByRole("button", { name: "Lift all lockouts" }).click();
      assert.match(await said(page), /of “everybody” /);
    });
  }
}
