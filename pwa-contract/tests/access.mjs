// Who may: passwords in the URL, cookie sessions, and members of a database.

import assert from "node:assert/strict";
import { PouchDB, address, ask, device, freshName, origin, remote } from "./support/devices.mjs";
import { scenario } from "./support/scenario.mjs";

async function user(t, roles = []) {
  const name = freshName("user");
  const path = `/_users/org.couchdb.user:${name}`;
  const made = await ask("PUT", path, { name, password: "pässwörd:1", roles, type: "user" });
  assert.equal(made.status, 201);
  t.after(() => ask("DELETE", `${path}?rev=${made.body.rev}`));
  return { name, password: "pässwörd:1" };
}

/** A database for `members`, made by the administrator. */
async function databaseFor(t, members) {
  const db = remote(t);
  await db.put({ _id: "from-office" });
  const security = { admins: { names: [], roles: [] }, members: { names: [], roles: [], ...members } };
  const { status } = await ask("PUT", `${new URL(db.name).pathname}/_security`, security);
  assert.equal(status, 200);
  return { db, name: new URL(db.name).pathname.slice(1) };
}

const as = (name, login, options = {}) => new PouchDB(address(`/${name}`, login), { skip_setup: true, ...options });

const login = ({ name, password }) =>
  PouchDB.fetch(`${origin}/_session`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name, password }),
  });

scenario("a member pushes and pulls with name and password in the URL", async (t) => {
  const member = await user(t);
  const { db, name } = await databaseFor(t, { names: [member.name] });
  const local = device(t);
  await local.put({ _id: "from-device" });
  await local.sync(as(name, member));
  assert.equal((await db.get("from-device"))._id, "from-device");
  assert.equal((await local.get("from-office"))._id, "from-office");
});

scenario("a member pushes and pulls with name and password as options", async (t) => {
  const member = await user(t);
  const { db, name } = await databaseFor(t, { names: [member.name] });
  const local = device(t);
  await local.put({ _id: "from-device" });
  const auth = { username: member.name, password: member.password };
  await local.sync(as(name, null, { auth }));
  assert.equal((await db.get("from-device"))._id, "from-device");
});

scenario("a member pushes and pulls with a cookie session, until he logs out", async (t) => {
  const member = await user(t, ["adm"]);
  const { db, name } = await databaseFor(t, { roles: ["adm"] });
  const local = device(t);
  await local.put({ _id: "from-device" });

  const answer = await login(member);
  assert.equal(answer.status, 200);
  // A server that knows devices tells of this one as well.
  const { device: known, lease_until: until, ...session } = await answer.json();
  assert.equal(known === undefined, until === undefined);
  assert.deepEqual(session, { ok: true, name: member.name, roles: ["adm"] });
  await local.sync(as(name, null));
  assert.equal((await db.get("from-device"))._id, "from-device");
  assert.equal((await local.get("from-office"))._id, "from-office");

  await PouchDB.fetch(`${origin}/_session`, { method: "DELETE" });
  await assert.rejects(local.sync(as(name, null)), { status: 401, name: "unauthorized" });
});

scenario("a wrong password is unauthorized, and isn't tried again", async (t) => {
  const member = await user(t);
  const { name } = await databaseFor(t, { names: [member.name] });
  const local = device(t);
  const wrong = { ...member, password: "wrong" };
  assert.equal((await login(wrong)).status, 401);
  const retrying = local.replicate.from(as(name, wrong), { live: true, retry: true });
  await assert.rejects(retrying, { status: 401, name: "unauthorized" });
});

scenario("members of a database keep others out with 403, and nobody in with 401", async (t) => {
  const [member, stranger] = [await user(t), await user(t)];
  const { db, name } = await databaseFor(t, { names: [member.name] });
  const local = device(t);
  await local.put({ _id: "from-device" });
  await assert.rejects(local.replicate.from(as(name, stranger)), { status: 403, name: "forbidden" });
  await assert.rejects(local.replicate.to(as(name, stranger)), { status: 403, name: "forbidden" });
  await assert.rejects(as(name, stranger).allDocs(), { status: 403 });
  await assert.rejects(as(name, stranger).find({ selector: {} }), { status: 403 });
  await assert.rejects(local.replicate.to(as(name, null)), { status: 401, name: "unauthorized" });
  await assert.rejects(db.get("from-device"), { status: 404 });
  assert.equal((await local.allDocs()).rows.length, 1);
});

scenario("a new database is for administrators until somebody says otherwise", async (t) => {
  const stranger = await user(t);
  const db = remote(t);
  await db.info();
  await assert.rejects(as(new URL(db.name).pathname.slice(1), stranger).allDocs(), { status: 403 });
});

scenario("a member may not write design documents, and the rest of his push arrives", async (t) => {
  const member = await user(t);
  const { db, name } = await databaseFor(t, { names: [member.name] });
  const local = device(t);
  await local.bulkDocs([{ _id: "before" }, { _id: "_design/mine" }, { _id: "zlast" }]);
  const denied = [];
  const push = local.replicate.to(as(name, member));
  push.on("denied", ({ id }) => denied.push(id));
  const result = await push;
  assert.equal(result.doc_write_failures, 1);
  assert.deepEqual(denied, ["_design/mine"]);
  assert.deepEqual((await db.allDocs()).rows.map(({ id }) => id), ["before", "from-office", "zlast"]);
});

scenario("only a server administrator makes databases", async (t) => {
  const stranger = await user(t);
  const path = `/${freshName()}`;
  await assert.rejects(new PouchDB(address(path, stranger)).info(), (error) => [401, 403].includes(error.status));
  assert.equal((await ask("GET", path)).status, 404);
});
