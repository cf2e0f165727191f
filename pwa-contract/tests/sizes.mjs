// Documents up to the limit, and attachments far above it.

import assert from "node:assert/strict";
import { device, remote } from "./support/devices.mjs";
import { Random } from "./support/random.mjs";
import { scenario } from "./support/scenario.mjs";

/** Bytes of a document's body as JSON, without the members that begin with an underscore. */
const LIMIT = 8_000_000;

/** A document whose body has exactly `bytes` bytes. */
function ofSize(_id, bytes) {
  const frame = JSON.stringify({ text: "" }).length;
  return { _id, text: "ab ".repeat(bytes / 3 + 1).slice(0, bytes - frame) };
}

scenario("documents of 8 MB replicate both ways", async (t) => {
  const server = remote(t);
  const [one, other] = [device(t), device(t, { adapter: "leveldb" })];
  const docs = [ofSize("one", LIMIT), ofSize("two", LIMIT - 1)];
  await one.bulkDocs(docs);
  await one.replicate.to(server, { batch_size: 1 });
  await other.replicate.from(server);
  for (const { _id, text } of docs) {
    assert.ok((await other.get(_id)).text === text, _id);
  }
});

scenario("a document above the limit is refused with 413 and the push says so", async (t) => {
  const server = remote(t);
  const local = device(t);
  const big = ofSize("big", LIMIT + 1);
  await assert.rejects(server.put(big), { status: 413, name: "document_too_large" });
  await local.put(big);
  await assert.rejects(local.replicate.to(server), (error) => {
    assert.equal(error.result.ok, false);
    assert.equal(error.result.docs_written, 0);
    assert.match(JSON.stringify(error), /document_too_large/);
    return true;
  });
  assert.equal((await server.info()).doc_count, 0);
});

scenario("a document above the limit doesn't keep those before it from arriving", async (t) => {
  const server = remote(t);
  const local = device(t);
  await local.put({ _id: "a" });
  await local.put({ _id: "b" });
  await local.put(ofSize("c", LIMIT + 1));
  await assert.rejects(local.replicate.to(server, { batch_size: 2 }));
  assert.deepEqual((await server.allDocs()).rows.map(({ id }) => id), ["a", "b"]);
});

scenario("attachments of 20 MB replicate both ways", async (t) => {
  const random = new Random(20);
  const server = remote(t);
  const [one, other] = [device(t), device(t)];
  const binary = random.bytes(20_000_000);
  const text = Buffer.from("Zeile mit Umlauten: äöü\n".repeat(800_000));
  await one.put({
    _id: "up",
    _attachments: {
      "scan.pdf": { content_type: "application/pdf", data: binary },
      "log.txt": { content_type: "text/plain", data: text },
    },
  });
  await one.replicate.to(server);
  const { rev } = await server.put({ _id: "direct" });
  await server.putAttachment("direct", "scan.pdf", rev, binary, "application/pdf");
  await other.replicate.from(server);
  for (const db of [other, server]) {
    assert.ok(binary.equals(await db.getAttachment("up", "scan.pdf")));
    assert.ok(text.equals(await db.getAttachment("up", "log.txt")));
    assert.ok(binary.equals(await db.getAttachment("direct", "scan.pdf")));
  }
  const { _attachments } = await other.get("up");
  assert.equal(_attachments["scan.pdf"].length, binary.length);
  assert.equal(_attachments["log.txt"].length, text.length);
});
