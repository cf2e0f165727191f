// A network that breaks in the middle of messages: replication goes on where it was.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { replicateSafely } from "../replicate-safely.mjs";
import { cuttingProxy } from "./support/cutting-proxy.mjs";
import { PouchDB, address, device, remote, watched } from "./support/devices.mjs";
import { Random } from "./support/random.mjs";
import { assertSame } from "./support/same.mjs";
import { scenario } from "./support/scenario.mjs";
import { eventually, live, once, stop } from "./support/waiting.mjs";

const COUNT = 1000;
const BATCH = 50;
const CUTS = 10;
const WAITS = { shortest: 20, longest: 20 };
/** PouchDB's own pause between attempts grows up to minutes. */
const RETRY = { retry: true, batch_size: BATCH, back_off_function: () => 20 };

const docs = (random) =>
  Array.from({ length: COUNT }, (_, number) => ({
    _id: `doc-${String(number).padStart(4, "0")}`,
    text: random.bytes(random.integer(100, 600)).toString("hex"),
  }));

/** The server's database through a proxy, and what PouchDB asked of it. */
async function throughProxy(t, server) {
  const asked = { read: 0, written: 0, since: [] };
  const proxy = await cuttingProxy(t, server.name);
  const options = watched((method, path, query, body) => {
    if (path.endsWith("/_bulk_get")) {
      asked.read += JSON.parse(body).docs.length;
    } else if (path.endsWith("/_bulk_docs")) {
      asked.written += JSON.parse(body).docs.length;
    } else if (path.endsWith("/_changes")) {
      asked.since.push(query.get("since"));
    }
  });
  const far = new PouchDB(proxy.url, { ...options, skip_setup: true });
  // Between batches PouchDB asks for this to show progress, and nobody handles it when that fails.
  const info = far.info.bind(far);
  far.info = () => info().catch(() => ({ update_seq: 0 }));
  return { proxy, asked, far };
}

/** Lets the proxy cut from now on, and heal after some cuts. */
function cut(proxy, budget) {
  proxy.budget = () => {
    if (proxy.cuts >= CUTS) {
      proxy.budget = null;
      return Infinity;
    }
    return budget();
  };
  proxy.cutAll();
}

scenario("a pull that breaks in the middle of batches completes and doesn't start from zero", async (t) => {
  const random = new Random(7);
  const server = remote(t);
  await server.bulkDocs(docs(random));
  const { proxy, asked, far } = await throughProxy(t, server);
  const local = device(t, { adapter: "leveldb" });

  const begin = () => proxy.cuts === 0 && cut(proxy, () => random.integer(500, 60_000));
  const result = await replicateSafely(() => {
    const pull = local.replicate.from(far, { batch_size: BATCH });
    pull.once("change", begin);
    return pull;
  }, WAITS);

  assert.ok(result.ok);
  assert.ok(proxy.cuts >= CUTS, `${proxy.cuts} cuts`);
  assert.ok(asked.read >= COUNT);
  // Each attempt may read again what it had in hand: the batch it was at, and the one it read ahead.
  assert.ok(asked.read <= COUNT + (proxy.cuts + 1) * 2 * BATCH, `${asked.read} documents read`);
  const fromZero = asked.since.filter((since) => since === "0").length;
  assert.ok(fromZero < asked.since.length / 2, `${fromZero} of ${asked.since.length} from zero`);
  await assertSame(local, server);
});

scenario("a push that breaks in the middle of batches completes and doesn't start from zero", async (t) => {
  const random = new Random(8);
  const server = remote(t);
  await server.info();
  const { proxy, asked, far } = await throughProxy(t, server);
  const local = device(t);
  await local.bulkDocs(docs(random));

  const push = local.replicate.to(far, RETRY);
  push.once("change", () => cut(proxy, () => random.integer(500, 90_000)));
  const result = await push;

  assert.ok(result.ok);
  assert.ok(proxy.cuts >= CUTS, `${proxy.cuts} cuts`);
  assert.ok(asked.written <= COUNT + (proxy.cuts + 1) * BATCH, `${asked.written} documents sent`);
  await assertSame(local, server);
});

/**
 * The server's database where reading changes fails once while the first batch is being fetched, and
 * fetching the second batch fails once, long after: until then a failed attempt that goes on would
 * have moved the checkpoint to the end.
 */
function withTwoFailures(db) {
  const failed = new Set();
  let held = false;
  let pages = 0;
  const fail = (what) => {
    failed.add(what);
    throw new Error("network");
  };
  const far = new PouchDB(db.name, {
    skip_setup: true,
    async fetch(url, options) {
      if (url.includes("_changes") && (pages += 1) === 4) {
        fail("changes");
      }
      if (url.includes("_bulk_get") && !held) {
        held = true;
        await sleep(400);
      } else if (url.includes("_bulk_get") && !failed.has("batch") && options.body.includes('"doc-0060"')) {
        await sleep(1500);
        fail("batch");
      }
      return PouchDB.fetch(url, options);
    },
  });
  return { failed, far };
}

scenario("a pull that begins anew leaves no gap when it fails while a batch is being fetched", async (t) => {
  const server = remote(t);
  await server.bulkDocs(docs(new Random(10)));
  const { failed, far } = withTwoFailures(server);
  const local = device(t);
  const { ok } = await replicateSafely(() => local.replicate.from(far, { batch_size: BATCH }), WAITS);
  assert.ok(ok);
  assert.deepEqual([...failed], ["changes", "batch"]);
  await assertSame(local, server);
});

scenario("a live pull that begins anew leaves no gap either", async (t) => {
  const server = remote(t);
  await server.bulkDocs(docs(new Random(11)));
  const { failed, far } = withTwoFailures(server);
  const local = device(t);
  let pull;
  const ended = replicateSafely(() => {
    pull = local.replicate.from(far, { live: true, batch_size: BATCH });
    return pull;
  }, WAITS);
  t.after(() => pull.cancel());
  await eventually(async () => assert.equal((await local.info()).doc_count, COUNT));
  await server.put({ _id: "after" });
  await eventually(() => local.get("after"));
  assert.deepEqual([...failed], ["changes", "batch"]);
  pull.cancel();
  await ended;
  await assertSame(local, server);
});

scenario("attachments cut in the middle arrive whole in the end", async (t) => {
  const random = new Random(9);
  const server = remote(t);
  const files = Array.from({ length: 8 }, (_, number) => [`doc-${number}`, random.bytes(300_000)]);
  for (const [_id, data] of files) {
    await server.put({ _id, _attachments: { plan: { content_type: "application/pdf", data } } });
  }
  const { proxy, far } = await throughProxy(t, server);
  const local = device(t);
  cut(proxy, () => random.integer(1_000, 400_000));
  await local.replicate.from(far, RETRY); // one batch: nothing is read ahead
  assert.ok(proxy.cuts >= CUTS, `${proxy.cuts} cuts`);
  for (const [id, data] of files) {
    assert.ok(data.equals(await local.getAttachment(id, "plan")), id);
  }
});

scenario("live sync survives a network that goes away and comes back", async (t) => {
  const server = remote(t);
  await server.info();
  const { proxy, asked, far } = await throughProxy(t, server);
  const local = device(t);
  const sync = live(t, local.sync(far, { ...RETRY, live: true }));
  await local.put({ _id: "before" });
  await eventually(() => server.get("before"));

  proxy.budget = () => 0;
  proxy.cutAll();
  await once(sync, "paused");
  await local.put({ _id: "offline-here" });
  await server.put({ _id: "offline-there" });
  await eventually(() => assert.ok(proxy.cuts > 3));

  proxy.budget = null;
  await eventually(() => server.get("offline-here"));
  await eventually(() => local.get("offline-there"));
  await server.put({ _id: "after" });
  await eventually(() => local.get("after"));
  assert.notEqual(asked.since.at(-1), "0");
  await stop(sync);
  await assertSame(local, server);
});

scenario("a one-shot replication without retry reports that the server can't be reached", async (t) => {
  const local = device(t);
  await local.put({ _id: "doc" });
  const proxy = await cuttingProxy(t, address("/nothing"));
  proxy.budget = () => 0;
  await assert.rejects(local.replicate.to(proxy.url));
});
