// A first sync: thousands of documents with attachments, up from one device and down to a fresh one.

import assert from "node:assert/strict";
import { device, remote } from "./support/devices.mjs";
import { Random } from "./support/random.mjs";
import { assertSame } from "./support/same.mjs";
import { scenario } from "./support/scenario.mjs";

const COUNT = 5000;

/** Documents with, now and then, a text, a binary or an empty attachment, or several. */
function* generated(random) {
  for (let number = 0; number < COUNT; number += 1) {
    const doc = {
      _id: `customer:${String(number).padStart(6, "0")}`,
      type: "customer",
      name: `Hofladen Nº ${number} – „Grüner Weg“ 🥕`,
      visits: Array.from({ length: random.integer(0, 4) }, () => random.integer(0, 1e9)),
      position: { lat: random.number() * 90, lon: random.number() * 180 },
      note: "n".repeat(random.integer(0, 400)),
    };
    const attached = {};
    if (number % 5 === 0) {
      const text = `Protokoll ${number}\n`.repeat(random.integer(0, 200));
      attached["protokoll.txt"] = { content_type: "text/plain", data: Buffer.from(text) };
    }
    if (number % 7 === 0) {
      attached["foto.jpg"] = { content_type: "image/jpeg", data: random.bytes(random.integer(0, 3000)) };
    }
    if (Object.keys(attached).length > 0) {
      doc._attachments = attached;
    }
    yield doc;
  }
}

scenario("5,000 documents with attachments arrive on a fresh device byte for byte", async (t) => {
  const sender = device(t);
  const receiver = device(t, { adapter: "leveldb" });
  const server = remote(t);
  const docs = [...generated(new Random(5000))];
  for (const { ok, id } of await sender.bulkDocs(docs)) {
    assert.ok(ok, id);
  }

  const pushed = await sender.replicate.to(server);
  assert.equal(pushed.docs_written, COUNT);
  assert.equal(pushed.doc_write_failures, 0);
  const pulled = await receiver.replicate.from(server);
  assert.equal(pulled.docs_written, COUNT);

  await assertSame(sender, server);
  const { rows } = await receiver.allDocs({ include_docs: true, attachments: true, binary: true });
  assert.equal(rows.length, COUNT);
  rows.forEach(({ doc }, at) => {
    const { _rev, _attachments: got = {}, ...body } = doc;
    const { _attachments: wanted = {}, ...sent } = docs[at];
    assert.deepEqual(body, sent);
    assert.deepEqual(Object.keys(got).sort(), Object.keys(wanted).sort());
    for (const [name, { content_type, data }] of Object.entries(wanted)) {
      assert.equal(got[name].content_type, content_type);
      assert.ok(data.equals(got[name].data), `${body._id}/${name}`);
    }
  });
});

scenario("a second sync of 5,000 documents transfers only what changed", async (t) => {
  const sender = device(t);
  const server = remote(t);
  await sender.bulkDocs([...generated(new Random(5001))].map(({ _attachments, ...doc }) => doc));
  await sender.replicate.to(server, { batch_size: 1000 });
  const receiver = device(t);
  await receiver.replicate.from(server, { batch_size: 1000 });

  const changed = await sender.get("customer:000042");
  await sender.put({ ...changed, name: "Hofladen Neu" });
  const pushed = await sender.replicate.to(server);
  assert.deepEqual([pushed.docs_read, pushed.docs_written], [1, 1]);
  const pulled = await receiver.replicate.from(server);
  assert.deepEqual([pulled.docs_read, pulled.docs_written], [1, 1]);
  assert.equal((await receiver.get("customer:000042")).name, "Hofladen Neu");
});
