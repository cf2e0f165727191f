// While these run the server is killed (SIGKILL) and started again on the same data: see the runner.

import assert from "node:assert/strict";
import { device, remote } from "./support/devices.mjs";
import { Random } from "./support/random.mjs";
import { assertSame } from "./support/same.mjs";
import { scenario } from "./support/scenario.mjs";

const COUNT = 3000;

function filled(t, random) {
  const local = device(t);
  const docs = Array.from({ length: COUNT }, (_, number) => {
    const doc = { _id: `doc-${number}`, text: random.bytes(200).toString("base64") };
    if (number % 10 === 0) {
      doc._attachments = { file: { content_type: "image/png", data: random.bytes(2000) } };
    }
    return doc;
  });
  return local.bulkDocs(docs).then(() => local);
}

scenario("a push during which the server is killed and restarted completes, and everything is there", async (t) => {
  const local = await filled(t, new Random(99));
  const server = remote(t, process.env.KOMPASS_TEST_DATABASE);
  const push = local.replicate.to(server, { retry: true, batch_size: 25, back_off_function: () => 100 });
  let interrupted = 0;
  push.on("paused", (error) => {
    interrupted += error ? 1 : 0;
  });
  const result = await push;
  assert.ok(result.ok);
  assert.ok(interrupted > 0, "the server was killed too late");
  await assertSame(local, server);

  const fresh = device(t);
  await fresh.replicate.from(server, { batch_size: 500 });
  await assertSame(fresh, server);
  const there = await fresh.get("doc-2990", { attachments: true, binary: true });
  const here = await local.get("doc-2990", { attachments: true, binary: true });
  assert.ok(here._attachments.file.data.equals(there._attachments.file.data));
});
