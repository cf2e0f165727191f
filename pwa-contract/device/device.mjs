// A device with the module that clients use, against a demo server: lost, away for too long, refused.

import assert from "node:assert/strict";
import { Client, LiveSync } from "../client.mjs";
import { PouchDB, freshName, origin } from "../tests/support/devices.mjs";
import { scenario } from "../tests/support/scenario.mjs";
import { eventually } from "../tests/support/waiting.mjs";

const PASSWORD = "kompass-demo";
const DAY = 24 * 3600 * 1000;

function memoryStorage() {
  const kept = new Map();
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, String(value)),
    removeItem: (key) => void kept.delete(key),
    key: (index) => [...kept.keys()][index] ?? null,
    get length() {
      return kept.size;
    },
  };
}

/** A client whose time can be moved: `clock.ahead`, in milliseconds. */
function made() {
  const clock = { ahead: 0 };
  const client = new Client({
    server: origin,
    PouchDB,
    storage: memoryStorage(),
    appVersion: freshName("9.9"),
    fetch: PouchDB.fetch, // keeps cookies
    now: () => Date.now() + clock.ahead,
    options: { adapter: "memory" },
  });
  return { client, clock };
}

const office = (method, path) =>
  fetch(`${origin}/api/v1/${path}`, {
    method,
    headers: { authorization: `Basic ${Buffer.from(`gf1:${PASSWORD}`).toString("base64")}` },
  }).then((response) => response.json());

function live(t, client, local, handlers) {
  const sync = new LiveSync(local, client.remote(), handlers);
  t.after(() => sync.stop());
  sync.start();
  return sync;
}

scenario("a device that is reported lost erases what it holds", async (t) => {
  const { client } = made();
  const { device } = await client.logIn({ name: "plan1", password: PASSWORD });
  const local = client.local("plan1");
  let failed = null;
  const sync = live(t, client, local, { failed: (error) => (failed = error) });
  client.addEventListener("wipe", (event) => {
    sync.stop();
    event.waitUntil(local.close());
  });
  await eventually(async () => assert.ok((await local.info()).doc_count > 0 && sync.phase === "idle"));
  await office("POST", `devices/${device.id}/lost`);
  t.after(() => office("POST", `devices/${device.id}/restore`));
  await eventually(() => assert.ok(client.wiped));
  assert.equal((await new PouchDB("kompass-plan1", { adapter: "memory" }).info()).doc_count, 0);
  assert.equal(client.user, null);
  assert.ok(client.isLocked("plan1"));
  await assert.rejects(client.logIn({ name: "plan1", password: PASSWORD }), { status: 401 });
});

scenario("a lease runs out without contact and begins anew with a login", async () => {
  const { client, clock } = made();
  await client.logIn({ name: "plan1", password: PASSWORD });
  assert.ok(Math.abs(client.leaseUntil("plan1") - Date.now() - 7 * DAY) < 60_000);
  clock.ahead = 6 * DAY;
  assert.equal(client.isLocked("plan1"), false);
  await client.remote().info(); // contact
  clock.ahead = 12 * DAY;
  assert.equal(client.isLocked("plan1"), false);
  clock.ahead = 14 * DAY;
  assert.equal(client.isLocked("plan1"), true);
  clock.ahead = 0;
  assert.equal(client.isLocked("plan1"), true); // a clock that is set back
  await client.remote().info();
  assert.equal(client.isLocked("plan1"), true); // contact alone isn't enough any more
  await client.logIn({ name: "plan1", password: PASSWORD });
  assert.equal(client.isLocked("plan1"), false);
  assert.equal(client.isLocked("adm1"), true); // never logged in here
});

scenario("what is denied is followed by what the server has instead", async (t) => {
  const { client } = made();
  await client.logIn({ name: "adm1", password: PASSWORD });
  const local = client.local("adm1");
  const denied = [];
  const sync = live(t, client, local, { denied: ({ id }) => denied.push(id) });
  await eventually(async () => assert.ok((await local.info()).doc_count > 0 && sync.phase === "idle"));
  const { rows } = await local.allDocs({ include_docs: true });
  const { doc } = rows.find((row) => row.doc.type === "customer");
  await local.put({ ...doc, owner: "adm2" });
  await eventually(async () => {
    assert.deepEqual(denied, [doc._id]);
    assert.equal((await local.get(doc._id)).owner, "adm1");
  });
});

scenario("a device reports how many documents it holds, once", async () => {
  const { client } = made();
  const { device } = await client.logIn({ name: "plan1", password: PASSWORD });
  await client.report(17);
  const [shown] = [await office("GET", `devices/${device.id}`)];
  assert.deepEqual([shown.documents, shown.app_version], [17, client.appVersion]);
  client.fetch = () => assert.fail("it was no news");
  await client.report(17);
});
