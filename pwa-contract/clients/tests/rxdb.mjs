// RxDB's replication with CouchDB: databases in memory, and the server between them.

import assert from "node:assert/strict";
import { createRxDatabase } from "rxdb/plugins/core";
import { getFetchWithCouchDBAuthorization, replicateCouchDB } from "rxdb/plugins/replication-couchdb";
import { getRxStorageMemory } from "rxdb/plugins/storage-memory";
import { scenario } from "../../tests/support/scenario.mjs";
import { eventually } from "../../tests/support/waiting.mjs";
import { admin, ask, database, freshName, orders, origin } from "./support/server.mjs";

const schema = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: {
    id: { type: "string", maxLength: 100 },
    customer: { type: "number" },
    sum: { type: "number" },
    text: { type: "string" },
  },
  required: ["id"],
};

const authorized = getFetchWithCouchDBAuthorization(admin.name, admin.password);

/** RxDB doesn't look at the status; its live pull would end for good with the first refusal. */
async function fetchOrThrow(url, options) {
  const response = await authorized(url, options);
  if (!response.ok) {
    throw new Error(`${response.status} ${await response.text()}`);
  }
  return response;
}

/** A device: `orders` is its collection, `sync` starts a replication with the server's database. */
async function device(t, { conflictHandler } = {}) {
  const db = await createRxDatabase({ name: freshName("device"), storage: getRxStorageMemory(), multiInstance: false });
  const { orders } = await db.addCollections({ orders: { schema, conflictHandler } });
  const closing = new AbortController();
  t.after(async () => {
    await db.close();
    closing.abort();
  });
  return {
    orders,
    sync(name, { live = false, batchSize = 30 } = {}) {
      const state = replicateCouchDB({
        replicationIdentifier: `with-${name}`,
        collection: orders,
        url: `${origin}/${name}/`,
        live,
        retryTime: 200,
        waitForLeadership: false,
        fetch: (url, options) => fetchOrThrow(url, { ...options, signal: closing.signal }),
        pull: { batchSize },
        push: { batchSize },
      });
      state.failures = [];
      state.error$.subscribe((error) => state.failures.push(error));
      return state;
    },
    /** What it holds: {id: text or sum}. */
    async content() {
      const found = await orders.find().exec();
      return Object.fromEntries(found.map((doc) => [doc.id, doc.text ?? doc.sum]));
    },
  };
}

/** What the server's database holds: {id: text or sum}. */
async function stored(name) {
  const { body } = await ask("GET", `/${name}/_all_docs?include_docs=true`);
  return Object.fromEntries(body.rows.map(({ id, doc }) => [id, doc.text ?? doc.sum]));
}

const local = (count) => orders(count).map(({ _id, ...rest }) => ({ id: _id, ...rest }));
const expected = (count) => Object.fromEntries(orders(count).map(({ _id, sum }) => [_id, sum]));

/** Waits until a one-shot replication has ended, without errors. */
async function done(state) {
  await state.awaitInitialReplication();
  await state.awaitInSync();
  assert.deepEqual(state.failures, []);
}

scenario("a pull brings what is there, in batches, and leaves out what was deleted", async (t) => {
  const { orders: collection, sync, content } = await device(t);
  const name = await database(t);
  const { body: rows } = await ask("POST", `/${name}/_bulk_docs`, { docs: orders(200) });
  await ask("DELETE", `/${name}/order-0000?rev=${rows[0].rev}`);
  await ask("PUT", `/${name}/order-0001`, { _rev: rows[1].rev, sum: -1 });
  await done(sync(name));
  const { "order-0000": gone, ...rest } = expected(200);
  assert.deepEqual(await content(), { ...rest, "order-0001": -1 });
  const one = await collection.findOne("order-0002").exec();
  assert.deepEqual([one.customer, one.sum], [2, 20]);
});

scenario("a push sends what was inserted, edited and removed", async (t) => {
  const { orders: collection, sync } = await device(t);
  const name = await database(t);
  await collection.bulkInsert(local(100));
  await done(sync(name));
  assert.deepEqual(await stored(name), expected(100));

  await (await collection.findOne("order-0001").exec()).patch({ text: "edited" });
  await (await collection.findOne("order-0002").exec()).remove();
  await collection.insert({ id: "ä/ü b+c", text: "new" });
  await done(sync(name));
  const { "order-0002": gone, ...rest } = expected(100);
  assert.deepEqual(await stored(name), { ...rest, "order-0001": "edited", "ä/ü b+c": "new" });
  const { status, body } = await ask("GET", `/${name}/order-0002`);
  assert.deepEqual([status, body.reason], [404, "deleted"]);
  assert.match((await ask("GET", `/${name}/order-0001`)).body._rev, /^2-/);
});

scenario("two devices live see each other's documents, edits and deletions", async (t) => {
  const [one, other] = [await device(t), await device(t)];
  const name = await database(t);
  const states = [one.sync(name, { live: true }), other.sync(name, { live: true })];
  await Promise.all(states.map((state) => state.awaitInitialReplication()));

  await one.orders.bulkInsert(local(70));
  await eventually(async () => assert.deepEqual(await other.content(), expected(70)));
  await (await other.orders.findOne("order-0005").exec()).patch({ text: "from the other" });
  await (await other.orders.findOne("order-0006").exec()).remove();
  const { "order-0006": gone, ...rest } = { ...expected(70), "order-0005": "from the other" };
  await eventually(async () => assert.deepEqual(await one.content(), rest));
  // Written by somebody else, on the server.
  await ask("PUT", `/${name}/foreign`, { text: "foreign" });
  for (const each of [one, other]) {
    await eventually(async () => assert.equal((await each.content()).foreign, "foreign"));
  }
  // And inserted again under the id that was deleted.
  await one.orders.insert({ id: "order-0006", text: "again" });
  await eventually(async () => assert.equal((await other.content())["order-0006"], "again"));
  assert.deepEqual(await stored(name), await one.content());
  for (const { failures } of states) assert.deepEqual(failures, []);
});

scenario("a refused document holds up the push until it is changed and another push begins", async (t) => {
  const { orders: collection, sync } = await device(t);
  const name = await database(t);
  const validate = "function (doc) { if (doc.sum < 0) throw { forbidden: 'below zero' }; }";
  await ask("PUT", `/${name}/_design/rules`, { validate_doc_update: validate });
  const held = async () => {
    const { "_design/rules": rules, ...rest } = await stored(name);
    return rest;
  };
  const first = sync(name, { live: true });
  await first.awaitInitialReplication();
  await collection.bulkInsert([{ id: "good", sum: 1 }, { id: "bad", sum: -1 }]);
  await eventually(() => {
    const { writeResultRow: row } = first.failures[0].parameters.args;
    assert.deepEqual([row.id, row.error, row.reason], ["bad", "forbidden", "below zero"]);
  });
  await collection.insert({ id: "behind", sum: 2 });
  await eventually(() => assert.ok(first.failures.length > 3));
  assert.deepEqual(await held(), { good: 1 });
  await (await collection.findOne("bad").exec()).patch({ sum: 0 });
  await first.cancel();
  await done(sync(name));
  assert.deepEqual(await held(), { good: 1, bad: 0, behind: 2 });
});

/** Both edited `doc` while they were apart: what the server and both devices hold in the end. */
async function conflict(t, conflictHandler) {
  const [one, other] = [await device(t, { conflictHandler }), await device(t, { conflictHandler })];
  const name = await database(t);
  await one.orders.insert({ id: "doc", text: "first" });
  await done(one.sync(name));
  await done(other.sync(name));
  await (await one.orders.findOne("doc").exec()).patch({ text: "one" });
  await (await other.orders.findOne("doc").exec()).patch({ text: "other" });
  for (const each of [one, other, one, other]) {
    await done(each.sync(name));
  }
  const { body } = await ask("GET", `/${name}/doc?conflicts=true`);
  assert.equal(body._conflicts, undefined);
  return [(await stored(name)).doc, (await one.content()).doc, (await other.content()).doc];
}

scenario("in a conflict the server's version stays", async (t) => {
  assert.deepEqual(await conflict(t), ["one", "one", "one"]);
});

scenario("in a conflict a handler may join both versions", async (t) => {
  const conflictHandler = {
    isEqual: (one, other) => one.text === other.text && one._deleted === other._deleted,
    resolve: ({ newDocumentState, realMasterState }) => ({
      ...realMasterState,
      text: [...new Set([realMasterState.text, newDocumentState.text])].join(" and "),
    }),
  };
  assert.deepEqual(await conflict(t, conflictHandler), ["one and other", "one and other", "one and other"]);
});

scenario("design documents arrive, attachments of edited documents go, branches of others stay", async (t) => {
  const { orders: collection, sync, content } = await device(t);
  const name = await database(t);
  await ask("PUT", `/${name}/_design/rules`, { language: "javascript" });
  const photo = { content_type: "image/png", data: "aGFsbG8=" };
  await ask("PUT", `/${name}/doc`, { sum: 1, _attachments: { "photo.png": photo } });
  const branch = (hash) => ({ _id: "split", _rev: `1-${hash}`, _revisions: { start: 1, ids: [hash] }, text: hash });
  await ask("POST", `/${name}/_bulk_docs`, { new_edits: false, docs: [branch("a"), branch("b")] });
  await done(sync(name));
  assert.deepEqual(await content(), { "_design/rules": undefined, doc: 1, split: "b" });
  await (await collection.findOne("doc").exec()).patch({ sum: 2 });
  await (await collection.findOne("split").exec()).patch({ text: "edited" });
  await done(sync(name));
  const { body: doc } = await ask("GET", `/${name}/doc`);
  assert.deepEqual([doc.sum, doc._attachments], [2, undefined]);
  const { body: split } = await ask("GET", `/${name}/split?conflicts=true`);
  assert.deepEqual([split.text, split._conflicts], ["edited", ["1-a"]]);
});

scenario("a live replication goes on after the server refused it for a while", async (t) => {
  const { orders: collection, sync, content } = await device(t);
  const name = await database(t, { create: false });
  const state = sync(name, { live: true });
  await collection.bulkInsert(local(10));
  await eventually(() => assert.ok(state.failures.length > 0));
  await ask("PUT", `/${name}`);
  await eventually(async () => assert.deepEqual(await stored(name), expected(10)));
  await ask("PUT", `/${name}/foreign`, { text: "foreign" });
  await eventually(async () => assert.equal((await content()).foreign, "foreign"));
});
