// Names of databases and ids of documents that need care on their way through a URL.

import assert from "node:assert/strict";
import { device, freshName, remote } from "./support/devices.mjs";
import { assertSame } from "./support/same.mjs";
import { scenario } from "./support/scenario.mjs";

const DATABASES = ["/b", "+b", "$b(c)", "_-/+$()x", "/b/c/d", `/${"lang".repeat(40)}`];

const IDS = [
  "simple",
  "Grüße aus Köln",
  "日本語",
  "emoji 🥕🚜",
  "𝒜stral",
  "e\u0301 combining",
  "\u00e9 composed",
  "a/b/c",
  "/leading",
  "trailing/",
  "a//b",
  "../up",
  "a+b",
  "a%2Fb",
  "100%",
  "%",
  "%zz",
  " spaces  inside ",
  "a?b=c",
  "a#b",
  "a&b=c;d",
  `"quoted"`,
  "it's",
  "back\\slash",
  "a:b@c",
  "<tag>",
  "{json}[0]",
  "tab\there",
  "line\nbreak",
  "\u2028 separator",
  "\u0001 control",
  "~!*()$,",
  "0",
  "null",
  "\ufffd",
  "\uffff",
  "x".repeat(4000),
  "ü".repeat(700),
];

scenario("databases with odd names replicate both ways", async (t) => {
  for (const name of DATABASES) {
    const server = remote(t, freshName("a") + name);
    const [one, other] = [device(t), device(t)];
    await one.put({ _id: "from-device", _attachments: { "a.txt": { content_type: "text/plain", data: "aGFsbG8=" } } });
    await one.sync(server);
    await server.put({ _id: "from-server" });
    await one.sync(server);
    await other.sync(server);
    assert.deepEqual(Object.keys((await other.allDocs()).rows), ["0", "1"], name);
    assert.equal((await other.getAttachment("from-device", "a.txt")).toString(), "hallo");
    await assertSame(one, server);
    await assertSame(other, server);
  }
});

scenario("a database whose name is no name is refused", async (t) => {
  for (const name of ["Upper", "0digit", "a b", "ä"]) {
    await assert.rejects(remote(t, name).info(), { status: 400, name: "illegal_database_name" });
  }
});

scenario("documents with odd ids replicate both ways", async (t) => {
  const server = remote(t);
  const [one, other] = [device(t), device(t)];
  const half = IDS.length >> 1;
  const content = (_id) => ({
    _id,
    title: _id,
    _attachments: { "a.txt": { content_type: "text/plain", data: Buffer.from(_id).toString("base64") } },
  });
  await one.bulkDocs(IDS.slice(0, half).map(content));
  await server.bulkDocs(IDS.slice(half).map(content));
  await one.sync(server);
  await other.sync(server);
  for (const db of [one, other, server]) {
    for (const id of IDS) {
      assert.equal((await db.get(id)).title, id);
      assert.equal((await db.getAttachment(id, "a.txt")).toString(), id);
    }
  }
  await assertSame(one, server);
  await assertSame(other, server);
});

scenario("documents with odd ids are written, read, edited and deleted over http", async (t) => {
  const server = remote(t);
  for (const _id of IDS) {
    const { id, rev } = await server.put({ _id, n: 1 });
    assert.equal(id, _id);
    await server.put({ _id, _rev: rev, n: 2 });
    const doc = await server.get(_id);
    assert.deepEqual([doc._id, doc.n], [_id, 2]);
    assert.equal((await server.allDocs({ key: _id })).rows[0].id, _id);
  }
  const { results } = await server.changes();
  assert.deepEqual(results.map(({ id }) => id).sort(), [...IDS].sort());
  for (const _id of IDS) {
    await server.remove(await server.get(_id));
  }
  assert.equal((await server.info()).doc_count, 0);
});

scenario("ids that only differ in their Unicode form are different documents", async (t) => {
  const server = remote(t);
  await server.bulkDocs([{ _id: "\u00e9" }, { _id: "e\u0301" }]);
  const { rows } = await server.allDocs();
  assert.deepEqual(rows.map(({ id }) => id), ["e\u0301", "\u00e9"]);
});

scenario("ids that are reserved are refused", async (t) => {
  const server = remote(t);
  await assert.rejects(server.bulkDocs([{ _id: "_secret" }]), { status: 400 });
});
