// Attachments: written, read, replaced and removed over http, kept and dropped by edits, replicated.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { PouchDB, device, remote, watched } from "./support/devices.mjs";
import { Random } from "./support/random.mjs";
import { assertSame } from "./support/same.mjs";
import { scenario } from "./support/scenario.mjs";

const NAMES = [
  "plain.txt",
  "mit Leerzeichen.txt",
  "Übersicht – März.pdf",
  "ordner/unter/datei.bin",
  "a+b&c=d?e#f.png",
  "100%25.txt",
  "日本🥕.jpg",
  `"quotes" 'both'`,
  "semi;colon:at@",
  ".hidden",
];

const TYPES = [
  "text/plain",
  "text/plain; charset=iso-8859-1",
  "image/png",
  "application/octet-stream",
  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  "x-kompass/odd+json;v=1",
];

const hallo = (content_type = "text/plain") => ({ content_type, data: Buffer.from("hallo") });

scenario("attachments with odd names are put, read and removed over http", async (t) => {
  const db = remote(t);
  let { rev } = await db.put({ _id: "a/b c" });
  for (const name of NAMES) {
    const bytes = Buffer.from(`content of ${name}`);
    ({ rev } = await db.putAttachment("a/b c", name, rev, bytes, "application/octet-stream"));
    assert.ok(bytes.equals(await db.getAttachment("a/b c", name)), name);
  }
  assert.deepEqual(Object.keys((await db.get("a/b c"))._attachments).sort(), [...NAMES].sort());
  for (const name of NAMES) {
    ({ rev } = await db.removeAttachment("a/b c", name, rev));
    await assert.rejects(db.getAttachment("a/b c", name), { status: 404 });
  }
  assert.equal((await db.get("a/b c"))._attachments, undefined);
});

scenario("attachments with odd names and types replicate both ways", async (t) => {
  const server = remote(t);
  const [one, other] = [device(t), device(t)];
  const attached = (list, of) => Object.fromEntries(list.map((item, number) => of(item, number)));
  await one.put({ _id: "names", _attachments: attached(NAMES, (name) => [name, hallo()]) });
  await server.put({ _id: "types", _attachments: attached(TYPES, (type, number) => [`file${number}`, hallo(type)]) });
  await one.sync(server);
  await other.sync(server);
  for (const db of [one, other, server]) {
    for (const name of NAMES) {
      assert.equal((await db.getAttachment("names", name)).toString(), "hallo");
    }
    const { _attachments } = await db.get("types");
    TYPES.forEach((type, number) => assert.equal(_attachments[`file${number}`].content_type, type));
  }
  await assertSame(one, server);
  await assertSame(other, server);
});

scenario("an attachment's stub tells digest, length and where it came", async (t) => {
  const db = remote(t);
  await db.put({ _id: "doc", _attachments: { "a.png": hallo("image/png") } });
  const { _attachments } = await db.get("doc");
  assert.deepEqual(_attachments["a.png"], {
    content_type: "image/png",
    revpos: 1,
    digest: `md5-${createHash("md5").update("hallo").digest("base64")}`,
    length: 5,
    stub: true,
  });
});

scenario("an attachment of an asked revision is that revision's", async (t) => {
  const db = remote(t);
  const first = await db.put({ _id: "doc", _attachments: { a: hallo() } });
  const second = await db.putAttachment("doc", "a", first.rev, Buffer.from("neu"), "text/plain");
  assert.equal((await db.getAttachment("doc", "a")).toString(), "neu");
  assert.equal((await db.getAttachment("doc", "a", { rev: first.rev })).toString(), "hallo");
  assert.equal((await db.getAttachment("doc", "a", { rev: second.rev })).toString(), "neu");
});

scenario("an edit keeps attachments it lists as stubs and drops the others", async (t) => {
  const db = remote(t);
  await db.put({ _id: "doc", _attachments: { keep: hallo(), drop: hallo() } });
  const doc = await db.get("doc");
  delete doc._attachments.drop;
  await db.put({ ...doc, edited: true });
  assert.deepEqual(Object.keys((await db.get("doc"))._attachments), ["keep"]);
  assert.equal((await db.getAttachment("doc", "keep")).toString(), "hallo");
});

scenario("a stub of something that isn't there is refused with 412", async (t) => {
  const db = remote(t);
  const stub = { content_type: "text/plain", stub: true, digest: "md5-AAAAAAAAAAAAAAAAAAAAAA==", length: 1 };
  await assert.rejects(db.put({ _id: "doc", _attachments: { a: stub } }), { status: 412 });
  await assert.rejects(db.get("doc"), { status: 404 });
});

scenario("get with attachments brings them inline, as base64 or as bytes", async (t) => {
  const db = remote(t);
  const bytes = new Random(5).bytes(1000);
  await db.put({ _id: "doc", _attachments: { a: { content_type: "image/png", data: bytes }, empty: { content_type: "x/y", data: "" } } });
  const inline = await db.get("doc", { attachments: true });
  assert.equal(inline._attachments.a.data, bytes.toString("base64"));
  assert.equal(inline._attachments.empty.data, "");
  const binary = await db.get("doc", { attachments: true, binary: true });
  assert.ok(bytes.equals(binary._attachments.a.data));
});

scenario("putAttachment on an unknown document makes it, with a wrong revision conflicts", async (t) => {
  const db = remote(t);
  const { rev } = await db.putAttachment("doc", "a", Buffer.from("x"), "text/plain");
  assert.match(rev, /^1-/);
  await assert.rejects(db.putAttachment("doc", "b", "1-wrong", Buffer.from("x"), "text/plain"), { status: 409 });
});

scenario("an attachment edited on two devices is a conflict with both contents", async (t) => {
  const server = remote(t);
  const [one, other] = [device(t), device(t)];
  await one.put({ _id: "doc" });
  await one.sync(server);
  await other.sync(server);
  for (const [number, db] of [one, other].entries()) {
    const { _rev } = await db.get("doc");
    await db.putAttachment("doc", "foto", _rev, Buffer.from(`von ${number}`), "image/png");
  }
  await one.sync(server);
  await other.sync(server);
  // A device that has another branch of the document may show the winner's content for both: PouchDB
  // asks for an attachment that has changed without the revision.
  const fresh = device(t);
  await fresh.replicate.from(server);
  for (const db of [server, fresh]) {
    const { _rev, _conflicts } = await db.get("doc", { conflicts: true });
    const contents = await Promise.all([_rev, ..._conflicts].map((rev) => db.getAttachment("doc", "foto", { rev })));
    assert.deepEqual(contents.map(String).sort(), ["von 0", "von 1"]);
  }
});

scenario("an unchanged attachment isn't sent again with the next edit from the server", async (t) => {
  const server = remote(t);
  const local = device(t);
  let fetched = 0;
  const far = new PouchDB(server.name, watched((method, path) => (fetched += path.endsWith("/doc/a") ? 1 : 0)));
  await server.put({ _id: "doc", _attachments: { a: { content_type: "image/png", data: Buffer.alloc(50_000, 7) } } });
  await local.replicate.from(far);
  await server.put({ ...(await server.get("doc")), edited: true });
  await local.replicate.from(far);
  assert.equal(fetched, 1);
  const doc = await local.get("doc", { attachments: true, binary: true });
  assert.equal(doc.edited, true);
  assert.equal(doc._attachments.a.data.length, 50_000);
  await assertSame(local, server);
});
