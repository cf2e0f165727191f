// nano, Apache's client for Node.js.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import Nano from "nano";
import { scenario } from "../../tests/support/scenario.mjs";
import { eventually } from "../../tests/support/waiting.mjs";
import { admin, ask, database, freshName, orders, origin, url } from "./support/server.mjs";

const nano = Nano(url);
const open = async (t) => nano.use(await database(t));

scenario("databases are made, listed, described and deleted", async (t) => {
  const name = `${freshName()}/a+b`;
  t.after(() => ask("DELETE", `/${encodeURIComponent(name)}`));
  assert.deepEqual(await nano.db.create(name), { ok: true });
  await assert.rejects(nano.db.create(name), { statusCode: 412, error: "file_exists" });
  await assert.rejects(nano.db.create("UPPER"), { statusCode: 400 });
  const db = nano.use(name);
  await db.insert({ n: 1 }, "doc");
  const info = await nano.db.get(name);
  assert.deepEqual([info.db_name, info.doc_count], [name, 1]);
  assert.ok((await nano.db.list()).includes(name));
  assert.ok(JSON.parse(await text(nano.db.listAsStream())).includes(name));
  assert.deepEqual(await nano.db.compact(name), { ok: true });
  assert.deepEqual(await nano.db.destroy(name), { ok: true });
  await assert.rejects(nano.db.get(name), { statusCode: 404, reason: "Database does not exist." });
});

scenario("the server is asked for itself, ids and the session", async () => {
  assert.equal((await nano.info()).couchdb, "Welcome");
  const { uuids } = await nano.uuids(20);
  assert.equal(new Set(uuids).size, 20);
  assert.deepEqual((await nano.session()).userCtx, { name: admin.name, roles: ["_admin"] });
});

scenario("documents are inserted, read, headed and destroyed", async (t) => {
  const db = await open(t);
  const { rev } = await db.insert({ größe: 1.5, f: function () {} }, "a/ü b+c");
  assert.deepEqual(await db.get("a/ü b+c"), { _id: "a/ü b+c", _rev: rev, größe: 1.5, f: "function () {}" });
  assert.equal((await db.head("a/ü b+c")).etag, `"${rev}"`);
  await assert.rejects(db.insert({ n: 2 }, "a/ü b+c"), { statusCode: 409, error: "conflict" });
  const second = await db.insert({ _rev: rev, n: 2 }, "a/ü b+c");
  const { _revs_info } = await db.get("a/ü b+c", { revs_info: true });
  assert.deepEqual(_revs_info.map((each) => each.status), ["available", "available"]);
  const posted = await db.insert({ n: 3 });
  assert.match(posted.id, /^[0-9a-f]{32}$/);
  await db.insert({ n: 4 }, { docName: "batch", batch: "ok" });
  await eventually(async () => assert.equal((await db.get("batch")).n, 4));
  await assert.rejects(db.destroy("a/ü b+c", rev), { statusCode: 409 });
  assert.equal((await db.destroy("a/ü b+c", second.rev)).ok, true);
  await assert.rejects(db.get("a/ü b+c"), { statusCode: 404, reason: "deleted" });
  await assert.rejects(db.head("a/ü b+c"), { statusCode: 404 });
});

scenario("a batch is written, listed and fetched", async (t) => {
  const db = await open(t);
  const rows = await db.bulk({ docs: orders(200) });
  assert.ok(rows.every(({ ok }) => ok));
  const [no, yes] = await db.bulk({ docs: [{ _id: "order-0000" }, { _id: "order-0001", _rev: rows[1].rev, n: 1 }] });
  assert.deepEqual([no.error, yes.ok], ["conflict", true]);
  const listed = await db.list({ limit: 10, startkey: "order-0100", include_docs: true });
  assert.deepEqual([listed.total_rows, listed.rows[9].doc.sum], [200, 1090]);
  const some = await db.list({ keys: ["order-0007", "none"] });
  assert.deepEqual(some.rows.map(({ value, error }) => value?.rev ?? error), [rows[7].rev, "not_found"]);
  const fetched = await db.fetch({ keys: ["order-0003", "order-0002"] });
  assert.deepEqual(fetched.rows.map(({ doc }) => doc.sum), [30, 20]);
  const revs = await db.fetchRevs({ keys: ["order-0005"] });
  assert.equal(revs.rows[0].value.rev, rows[5].rev);
  const streamed = JSON.parse(await text(db.listAsStream({ descending: true, end_key: "order-0190" })));
  assert.equal(streamed.rows.length, 10);
  assert.deepEqual(await db.bulk({ docs: [{ _id: "x", _rev: "3-abc" }], new_edits: false }), []);
  assert.equal((await db.get("x"))._rev, "3-abc");
});

scenario("attachments go one by one, as streams, and many in one request", async (t) => {
  const db = await open(t);
  const photo = randomBytes(300_000);
  const first = await db.attachment.insert("doc", "photo.jpg", photo, "image/jpeg");
  const stream = Readable.from([photo.subarray(0, 1000), photo.subarray(1000)]);
  const second = await db.attachment.insert("doc", "stream.bin", stream, "application/octet-stream", { rev: first.rev });
  assert.deepEqual(await db.attachment.get("doc", "photo.jpg"), photo);
  assert.deepEqual(await buffer(db.attachment.getAsStream("doc", "stream.bin")), photo);
  await db.attachment.destroy("doc", "photo.jpg", { rev: second.rev });
  await assert.rejects(db.attachment.get("doc", "photo.jpg"), { statusCode: 404 });

  const attachments = [
    { name: "notiz.txt", data: "Grüße ".repeat(500), content_type: "text/plain" },
    { name: "ordner/bild ü.png", data: photo, content_type: "image/png" },
    { name: "leer", data: Buffer.alloc(0), content_type: "application/octet-stream" },
  ];
  const { rev } = await db.multipart.insert({ title: "Besuch" }, attachments, "visit");
  assert.equal(await db.attachment.get("visit", "notiz.txt"), "Grüße ".repeat(500));
  const whole = await db.multipart.get("visit");
  assert.ok(Buffer.from(whole).includes("Besuch"));
  const { _attachments } = await db.get("visit");
  assert.deepEqual(
    Object.entries(_attachments).map(([name, { length }]) => [name, length]).sort(),
    [["leer", 0], ["notiz.txt", 4000], ["ordner/bild ü.png", 300_000]],
  );
  assert.deepEqual(await db.attachment.get("visit", encodeURIComponent("ordner/bild ü.png")), photo);
  // Writing again with other attachments takes the others away.
  await db.multipart.insert({ _rev: rev }, attachments.slice(0, 1), "visit");
  assert.deepEqual(Object.keys((await db.get("visit"))._attachments), ["notiz.txt"]);
});

scenario("a login by cookie lasts, knows its roles and ends where it may not go", async (t) => {
  const name = await database(t);
  const user = freshName("user");
  await nano.use("_users").insert(
    { name: user, password: "wanderweg", roles: ["sales"], type: "user" },
    `org.couchdb.user:${user}`,
  );
  await ask("PUT", `/${name}/_security`, { members: { names: [], roles: ["sales"] }, admins: { names: [], roles: [] } });
  const theirs = Nano(origin);
  await assert.rejects(theirs.use(name).list(), { statusCode: 401 });
  await assert.rejects(theirs.auth(user, "wrong"), { statusCode: 401, reason: "Name or password is incorrect." });
  assert.equal((await theirs.auth(user, "wanderweg")).ok, true);
  const { userCtx, info } = await theirs.session();
  assert.deepEqual([userCtx, info.authenticated], [{ name: user, roles: ["sales"] }, "cookie"]);
  await theirs.use(name).insert({ n: 1 }, "doc");
  assert.equal((await theirs.use(name).get("doc")).n, 1);
  await assert.rejects(theirs.db.create(freshName()), { statusCode: 401 });
  // Logged in as somebody else, the same client is somebody else.
  await theirs.auth(admin.name, admin.password);
  assert.equal((await theirs.session()).userCtx.name, admin.name);
  await theirs.request({ method: "delete", path: "_session" });
  assert.equal((await theirs.session()).userCtx.name, null);
});

scenario("find goes page by page over an index, and explains itself", async (t) => {
  const db = await open(t);
  await db.bulk({ docs: orders(100) });
  const index = { index: { fields: ["customer", "sum"] }, ddoc: "by", name: "customer" };
  assert.equal((await db.createIndex(index)).result, "created");
  assert.equal((await db.createIndex(index)).result, "exists");
  const query = { selector: { customer: { $in: [2, 3] } }, sort: ["customer", "sum"], fields: ["sum"], limit: 12 };
  const sums = [];
  for (let bookmark; ; ) {
    const page = await db.find({ ...query, bookmark, execution_stats: true });
    if (page.docs.length === 0) break;
    bookmark = page.bookmark;
    sums.push(...page.docs.map(({ sum }) => sum));
  }
  const wanted = (customer) => orders(100).filter((each) => each.customer === customer).map(({ sum }) => sum);
  assert.deepEqual(sums, [...wanted(2), ...wanted(3)]);
  assert.equal(JSON.parse(await text(db.findAsStream(query))).docs.length, 12);
  await assert.rejects(db.find({ selector: { $unknown: 1 } }), { statusCode: 400 });
});

scenario("views are reduced, grouped, asked for keys and for several things at once", async (t) => {
  const db = await open(t);
  await db.bulk({ docs: orders(70) });
  await db.insert(
    {
      views: {
        customer: {
          map: function (doc) {
            emit(doc.customer, doc.sum);
          },
          reduce: "_sum",
        },
      },
    },
    "_design/shop",
  );
  const total = await db.view("shop", "customer");
  assert.equal(total.rows[0].value, 10 * ((69 * 70) / 2));
  const groups = await db.view("shop", "customer", { group: true, startkey: 5 });
  assert.deepEqual(groups.rows.map(({ key }) => key), [5, 6]);
  const chosen = await db.view("shop", "customer", { reduce: false, keys: [3, 1], include_docs: true });
  assert.equal(chosen.rows.length, 20);
  assert.deepEqual([chosen.rows[0].doc.customer, chosen.rows[19].doc.customer], [3, 1]);
  const { results } = await db.view("shop", "customer/queries", { queries: [{ key: 4 }, { reduce: false, limit: 3 }] });
  assert.deepEqual(results.map(({ rows }) => rows.length), [1, 3]);
  const streamed = JSON.parse(await text(db.viewAsStream("shop", "customer", { reduce: false })));
  assert.equal(streamed.rows.length, 70);
  await assert.rejects(db.view("shop", "nothing"), { statusCode: 404 });
});

scenario("design documents judge what is written, and update documents", async (t) => {
  const db = await open(t);
  await db.insert(
    {
      validate_doc_update: function (doc) {
        if (doc.sum < 0) throw { forbidden: "below zero" };
      },
      updates: {
        add: function (doc, req) {
          doc.sum += JSON.parse(req.body).by;
          return [doc, { json: { sum: doc.sum } }];
        },
      },
    },
    "_design/rules",
  );
  await db.insert({ sum: 1 }, "doc");
  await assert.rejects(db.insert({ sum: -1 }, "bad"), { statusCode: 403, error: "forbidden", reason: "below zero" });
  const rows = await db.bulk({ docs: [{ _id: "bad", sum: -1 }, { _id: "good", sum: 1 }] });
  assert.deepEqual(rows.map(({ ok, error }) => ok ?? error), ["forbidden", true]);
  assert.deepEqual(await db.updateWithHandler("rules", "add", "doc", { by: 4 }), { sum: 5 });
  assert.equal((await db.get("doc")).sum, 5);
});

scenario("what happens to databases is a feed of the server", async (t) => {
  const { last_seq: since } = await nano.updates();
  const name = await database(t);
  await eventually(async () => {
    const { results } = await nano.updates({ since });
    assert.deepEqual(results.map(({ db_name, type }) => [db_name, type]), [[name, "created"]]);
  });
});

/** What a reader emits until it ends: {changes, batches, last}. */
function read(reader) {
  return new Promise((resolve, reject) => {
    const [changes, batches] = [[], []];
    reader.on("change", (change) => changes.push(change));
    reader.on("batch", (batch) => batches.push(batch.length));
    reader.on("error", reject);
    reader.on("end", (last) => resolve({ changes, batches, last }));
  });
}

scenario("a changes reader reads what is there, in batches, and goes on there", async (t) => {
  const db = await open(t);
  await db.bulk({ docs: orders(250) });
  const { changes, batches, last } = await read(db.changesReader.get({ since: "0", batchSize: 100, timeout: 500 }));
  assert.deepEqual(batches, [100, 100, 50]);
  assert.deepEqual(changes.map(({ id }) => id), orders(250).map(({ _id }) => _id));
  await db.insert({ n: 1 }, "later");
  const more = await read(nano.use(db.config.db).changesReader.get({ since: last, timeout: 500, fastChanges: true }));
  assert.deepEqual(more.changes.map(({ id }) => id), ["later"]);
  const some = nano.use(db.config.db).changesReader.get({
    since: "0",
    selector: { sum: { $gte: 2400 } },
    includeDocs: true,
    timeout: 500,
  });
  assert.deepEqual((await read(some)).changes.map(({ doc }) => doc.sum), [2400, 2410, 2420, 2430, 2440, 2450, 2460, 2470, 2480, 2490]);
});

scenario("a changes reader hears what comes, and stops", async (t) => {
  const db = await open(t);
  await db.bulk({ docs: orders(5) });
  const seen = [];
  const reader = db.changesReader.start({ timeout: 20_000, wait: true });
  t.after(() => db.changesReader.stop());
  reader.on("batch", async (batch) => {
    seen.push(...batch.map(({ id }) => id));
    await sleep(10);
    db.changesReader.resume();
  });
  reader.on("error", () => {});
  await sleep(300);
  for (let number = 0; number < 10; number += 1) {
    await db.insert({ number }, `live-${number}`);
  }
  await eventually(() => assert.deepEqual(seen, Array.from({ length: 10 }, (_, each) => `live-${each}`)));
  const ended = new Promise((resolve) => reader.once("end", resolve));
  db.changesReader.stop();
  assert.match(await ended, /^15-/);
});

scenario("a changes reader spools everything in one response", async (t) => {
  const db = await open(t);
  await db.bulk({ docs: orders(1000) });
  const { changes, batches, last } = await read(db.changesReader.spool({ since: "0", batchSize: 300, includeDocs: true }));
  assert.deepEqual([changes, batches], [[], [300, 300, 300, 100]]);
  assert.match(last, /^1000-/);
  const streamed = JSON.parse(await text(db.changesAsStream({ since: last })));
  assert.deepEqual(streamed.results, []);
  assert.equal((await db.changes({ limit: 3, descending: true })).results[0].id, "order-0999");
});

scenario("replications run at once and as documents", async (t) => {
  const db = await open(t);
  await db.bulk({ docs: orders(60) });
  const target = await database(t, { create: false });
  const { history, ok } = await db.replicate(target, { create_target: true });
  assert.deepEqual([ok, history[0].docs_written], [true, 60]);
  await db.insert({ n: 1 }, "later");
  const again = await nano.db.replicate(db.config.db, target);
  assert.equal(again.history[0].docs_written, 1);

  const { id } = await db.replication.enable(target, { continuous: true, selector: { sum: { $gt: 100 } } });
  await db.bulk({ docs: [{ _id: "small", sum: 1 }, { _id: "large", sum: 1000 }] });
  await eventually(() => nano.use(target).get("large"));
  await assert.rejects(nano.use(target).get("small"), { statusCode: 404 });
  const { _rev } = await db.replication.query(id);
  assert.equal((await db.replication.disable(id, _rev)).ok, true);
  await assert.rejects(db.replication.query(id), { statusCode: 404 });
});
