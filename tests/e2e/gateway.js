// A running gateway without an application, whose letters become files.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const BINARY = process.env.VESTIBULE
  ?? fileURLToPath(new URL("../../target/debug/vestibule", import.meta.url));

/** How long a letter may be on its way, in milliseconds. */
const PATIENCE = 20_000;

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/**
 * Starts a gateway that sends mail into files. `people` are names with passwords; each has the
 * address NAME@example.org. `more` are sections of its configuration.
 */
export async function startGateway(people, more = "") {
  const directory = await mkdtemp(join(tmpdir(), "vestibule-e2e-"));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  await writeFile(join(directory, "vestibule.toml"), `
upstream = "http://127.0.0.1:9"
[server]
listen = "127.0.0.1:${port}"
public_url = "${url}"
[passwords]
memory = "8KiB"
iterations = 1
[mail]
smtp = "file:letters"
from = "The Site <noreply@example.org>"
${more}
`);
  const run = (args, input = "") => execFileSync(BINARY, args, { cwd: directory, input });
  for (const [name, password] of Object.entries(people)) {
    const address = `${name}@example.org`;
    run(["user", "create", name, "--email", address, "--password-stdin"], `${password}\n`);
  }
  const gateway = spawn(BINARY, ["serve"], { cwd: directory, stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(gateway, "close");
  let log = "";
  await new Promise((resolve, reject) => {
    createInterface({ input: gateway.stderr }).on("line", (line) => {
      log += `${line}\n`;
      if (/ ready\b/.test(line)) resolve();
    });
    ended.then(() => reject(new Error(`the gateway did not start:\n${log}`)));
  });

  /** Every letter so far, the oldest first, each with its address and its text. */
  async function letters() {
    const names = await readdir(join(directory, "letters")).catch(() => []);
    const texts = names.filter((name) => name.endsWith(".eml")).sort()
      .map((name) => readFile(join(directory, "letters", name), "utf8"));
    return (await Promise.all(texts)).map(read);
  }

  return {
    url,
    run,
    /** Waits for the newest letter to `address` whose subject has `words` in it. */
    async letterTo(address, words) {
      for (const end = Date.now() + PATIENCE; Date.now() < end;) {
        const fitting = (await letters())
          .filter((letter) => letter.to === address && letter.subject.includes(words));
        if (fitting.length) return fitting.at(-1);
        await new Promise((resolve) => { setTimeout(resolve, 50); });
      }
      throw new Error(`no letter about “${words}” came to ${address}:\n${log}`);
    },
    async stop() {
      gateway.kill("SIGKILL");
      await ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function read(message) {
  const [head, body] = message.split(/\r\n\r\n(.*)/s);
  const field = (name) => new RegExp(`^${name}: (.*)$`, "m").exec(head)[1].trim();
  const bytes = {
    "7bit": () => Buffer.from(body),
    base64: () => Buffer.from(body, "base64"),
    "quoted-printable": () => Buffer.from(
      body.replaceAll("=\r\n", "")
        .replace(/=([0-9A-F]{2})/g, (_, digits) => String.fromCharCode(parseInt(digits, 16))),
      "latin1",
    ),
  }[field("Content-Transfer-Encoding")]();
  const text = bytes.toString("utf8");
  return { to: field("To"), subject: field("Subject"), text, link: /^http\S+/m.exec(text)?.[0] };
}
