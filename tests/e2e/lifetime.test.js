// How the demo begins and ends.

import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startDemo } from "./demo.js";

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  test(`${signal} ends the demo, and nothing of it stays`, async (t) => {
    const TMPDIR = await mkdtemp(join(tmpdir(), "vestibule-e2e-"));
    t.after(() => rm(TMPDIR, { recursive: true, force: true }));
    const demo = await startDemo({ TMPDIR });
    assert.equal((await fetch(demo.url)).status, 200);
    assert.equal((await readdir(TMPDIR)).length, 1);
    const { code, complaints } = await demo.stop(signal);
    assert.equal(code, 0, complaints);
    await assert.rejects(fetch(demo.url));
    assert.deepEqual(await readdir(TMPDIR), []);
  });
}
