// IBM's Cloudant SDK for Node.js. It packs what it sends, and gives members of answers names in camelCase.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { buffer, text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import cloudant from "@ibm-cloud/cloudant";
import { scenario } from "../../tests/support/scenario.mjs";
import { eventually } from "../../tests/support/waiting.mjs";
import { admin, ask, database, freshName, orders, origin, url } from "./support/server.mjs";

const { ChangesFollower, CloudantV1, CouchdbSessionAuthenticator, Pagination, PagerType } = cloudant;

function client({ name, password } = admin) {
  const authenticator = new CouchdbSessionAuthenticator({ username: name, password });
  const service = new CloudantV1({ authenticator });
  service.setServiceUrl(origin);
  return service;
}

const service = client();

async function filled(t, docs) {
  const db = await database(t);
  const { result } = await service.postBulkDocs({ db, bulkDocs: { docs } });
  assert.ok(result.every(({ ok }) => ok));
  return db;
}

scenario("a session is opened, reused, renewed and refused", async (t) => {
  const db = await database(t);
  const user = freshName("user");
  await service.putDocument({
    db: "_users",
    docId: `org.couchdb.user:${user}`,
    document: { name: user, password: "wanderweg", roles: ["sales"], type: "user" },
  });
  await service.putSecurity({ db, members: { names: [user], roles: [] }, admins: { names: [], roles: [] } });

  const theirs = client({ name: user, password: "wanderweg" });
  await theirs.putDocument({ db, docId: "doc", document: { n: 1 } });
  const { tokenManager } = theirs.getAuthenticator();
  const first = tokenManager.accessToken;
  const left = tokenManager.expireTime - Date.now() / 1000;
  assert.ok(left > 590 && left <= 601, `${left} seconds`);
  assert.ok(tokenManager.refreshTime < tokenManager.expireTime);
  await theirs.getDocument({ db, docId: "doc" });
  assert.equal(tokenManager.accessToken, first);
  // A second later a cookie is another one.
  await sleep(1100);
  tokenManager.expireTime = 0;
  const { result } = await theirs.getSessionInformation();
  assert.deepEqual([result.userCtx.name, result.info.authenticated], [user, "cookie"]);
  assert.notEqual(tokenManager.accessToken, first);

  await assert.rejects(theirs.deleteDatabase({ db }), { status: 401 });
  await assert.rejects(client({ name: user, password: "wrong" }).getAllDbs(), { status: 401 });
});

scenario("documents are written, read and deleted, and errors say what and where", async (t) => {
  const db = await database(t);
  const { result: first } = await service.putDocument({ db, docId: "a/ü b+c", document: { größe: 1.5 } });
  const { result: second } = await service.postDocument({ db, document: { _id: "a/ü b+c", _rev: first.rev, n: 2 } });
  await assert.rejects(service.putDocument({ db, docId: "a/ü b+c", rev: first.rev, document: {} }), (error) => {
    assert.deepEqual([error.status, error.message], [409, "conflict: Document update conflict."]);
    assert.match(error.result.trace, /^[0-9a-f]+$/);
    return true;
  });
  const { headers } = await service.headDocument({ db, docId: "a/ü b+c" });
  assert.equal(headers.etag, `"${second.rev}"`);
  const { result: old } = await service.getDocument({ db, docId: "a/ü b+c", rev: first.rev, revs: true });
  assert.deepEqual([old.größe, old._revisions.start], [1.5, 1]);
  const stream = await service.getDocumentAsStream({ db, docId: "a/ü b+c" });
  assert.equal(JSON.parse(await text(stream.result)).n, 2);
  await service.deleteDocument({ db, docId: "a/ü b+c", rev: second.rev });
  await assert.rejects(service.getDocument({ db, docId: "a/ü b+c" }), { status: 404, message: "not_found: deleted" });
  await assert.rejects(service.headDocument({ db, docId: "a/ü b+c" }), { status: 404 });
  await service.putLocalDocument({ db, docId: "point", document: { seq: 1 } });
  assert.equal((await service.getLocalDocument({ db, docId: "point" })).result.seq, 1);
});

scenario("batches, and what is known of revisions", async (t) => {
  const db = await database(t);
  const { result: rows } = await service.postBulkDocs({ db, bulkDocs: { docs: orders(300) } });
  assert.equal(rows.length, 300);
  const docs = [{ id: "order-0001" }, { id: "order-0002", rev: rows[2].rev }, { id: "none" }];
  const { result: got } = await service.postBulkGet({ db, docs, revs: true });
  assert.deepEqual(got.results.map(({ docs: [{ ok, error }] }) => ok?.sum ?? error.error), [10, 20, "not_found"]);
  const mixed = await service.postBulkGetAsMixed({ db, docs });
  assert.match(mixed.headers["content-type"], /^multipart\/mixed/);
  assert.ok((await buffer(mixed.result)).includes(rows[2].rev));
  const asked = { "order-0000": [rows[0].rev, "2-x"] };
  const { result: missing } = await service.postRevsDiff({ db, documentRevisions: asked });
  assert.deepEqual(missing, { "order-0000": { missing: ["2-x"], possibleAncestors: [rows[0].rev] } });
  const { result: listed } = await service.postAllDocs({ db, keys: ["order-0009", "none"], includeDocs: true });
  assert.deepEqual(listed.rows.map(({ doc, error }) => doc?.sum ?? error), [90, "not_found"]);
  const { result: answers } = await service.postAllDocsQueries({ db, queries: [{ limit: 2 }, { key: "order-0299" }] });
  assert.deepEqual(answers.results.map((each) => each.rows.length), [2, 1]);
});

scenario("attachments are put, read in parts and taken away", async (t) => {
  const db = await database(t);
  const photo = randomBytes(300_000);
  // What is sent packed is stored packed, and has no parts to ask for.
  const plain = client();
  plain.setEnableGzipCompression(false);
  const put = (attachmentName, attachment, contentType, rev) =>
    plain.putAttachment({ db, docId: "doc", attachmentName, attachment, contentType, rev });
  const { result: first } = await put("photo.jpg", photo, "image/jpeg");
  const { result: second } = await put("ordner/notiz.txt", Buffer.from("Grüße ".repeat(500)), "text/plain", first.rev);
  const get = async (attachmentName, options = {}) =>
    buffer((await service.getAttachment({ db, docId: "doc", attachmentName, ...options })).result);
  assert.deepEqual(await get("photo.jpg"), photo);
  assert.deepEqual(await get("photo.jpg", { range: "bytes=100-199" }), photo.subarray(100, 200));
  assert.equal((await get("ordner/notiz.txt")).toString(), "Grüße ".repeat(500));
  const { headers } = await service.headAttachment({ db, docId: "doc", attachmentName: "photo.jpg" });
  assert.equal(headers["content-length"], "300000");
  const related = await service.getDocumentAsRelated({ db, docId: "doc", attachments: true });
  assert.match(related.headers["content-type"], /^multipart\/related/);
  assert.ok((await buffer(related.result)).includes(photo));
  await service.deleteAttachment({ db, docId: "doc", attachmentName: "photo.jpg", rev: second.rev });
  const { result } = await service.getDocument({ db, docId: "doc", attachments: true });
  assert.deepEqual(Object.keys(result._attachments), ["ordner/notiz.txt"]);
});

scenario("pages of all documents, of a search and of a view bring everything once", async (t) => {
  const db = await filled(t, orders(205));
  const pages = async (type, params) => {
    const found = [];
    for await (const page of Pagination.newPagination(service, type, { db, ...params }).pages()) {
      found.push(page);
    }
    return found;
  };
  const all = await pages(PagerType.POST_ALL_DOCS, { limit: 50 });
  assert.deepEqual(all.map((page) => page.length), [50, 50, 50, 50, 5]);
  assert.deepEqual(all.flat().map(({ id }) => id), orders(205).map(({ _id }) => _id));

  const index = { fields: [{ customer: "asc" }, { sum: "asc" }] };
  await service.postIndex({ db, index, ddoc: "by", name: "customer", type: "json" });
  const query = { selector: { customer: { $gt: 4 } }, sort: [{ customer: "asc" }, { sum: "asc" }], fields: ["_id"] };
  const found = await pages(PagerType.POST_FIND, { limit: 10, ...query });
  const wanted = [5, 6].flatMap((number) => orders(205).filter(({ customer }) => customer === number));
  assert.deepEqual(found.flat().map(({ _id }) => _id), wanted.map(({ _id }) => _id));
  const { result: explained } = await service.postExplain({ db, ...query });
  assert.equal(explained.index.name, "customer");
  const { result: first } = await service.postFind({ db, limit: 5, executionStats: true, ...query });
  const { result: next } = await service.postFind({ db, limit: 5, bookmark: first.bookmark, ...query });
  assert.deepEqual([...first.docs, ...next.docs], wanted.slice(0, 10).map(({ _id }) => ({ _id })));

  const views = { customer: { map: "function (doc) { emit(doc.customer, doc.sum); }", reduce: "_stats" } };
  await service.putDesignDocument({ db, ddoc: "shop", designDocument: { views } });
  const rows = (await pages(PagerType.POST_VIEW, { ddoc: "shop", view: "customer", reduce: false, limit: 8 })).flat();
  assert.equal(rows.length, 205);
  assert.equal(new Set(rows.map(({ id }) => id)).size, 205);
  const { result: groups } = await service.postView({ db, ddoc: "shop", view: "customer", group: true });
  assert.deepEqual(groups.rows.map(({ key }) => key), [0, 1, 2, 3, 4, 5, 6]);
  const about = await service.getDesignDocumentInformation({ db, ddoc: "shop" });
  assert.equal(about.result.name, "shop");
});

const ids = async (stream) => {
  const found = [];
  for await (const { id } of stream) found.push(id);
  return found;
};

scenario("a follower reads what is there, and what a selector lets through", async (t) => {
  const db = await filled(t, orders(400));
  const names = orders(400).map(({ _id }) => _id);
  assert.deepEqual(await ids(new ChangesFollower(service, { db }).startOneOff()), names);
  assert.deepEqual(await ids(new ChangesFollower(service, { db, limit: 7 }).startOneOff()), names.slice(0, 7));
  const selector = { sum: { $in: [10, 3990] } };
  const some = new ChangesFollower(service, { db, filter: "_selector", selector, includeDocs: true });
  assert.deepEqual(await ids(some.startOneOff()), ["order-0001", "order-0399"]);
  const { result } = await service.postChanges({ db, limit: 100 });
  assert.equal(result.pending, 300);
  const rest = new ChangesFollower(service, { db, since: result.lastSeq });
  assert.deepEqual(await ids(rest.startOneOff()), names.slice(100));
  await assert.rejects(ids(new ChangesFollower(service, { db: "no-such-database" }).startOneOff()), { status: 404 });
});

scenario("a follower hears what comes, and stops", async (t) => {
  const db = await filled(t, orders(3));
  const follower = new ChangesFollower(service, { db, since: "0" });
  const seen = [];
  const ended = (async () => {
    for await (const { id, deleted } of follower.start()) seen.push(deleted ? `${id} deleted` : id);
  })();
  await eventually(() => assert.equal(seen.length, 3));
  let rev;
  for (let number = 0; number < 5; number += 1) {
    ({ rev } = (await service.putDocument({ db, docId: `live-${number}`, document: { number } })).result);
  }
  await service.deleteDocument({ db, docId: "live-4", rev });
  await eventually(() => assert.equal(seen.at(-1), "live-4 deleted"));
  assert.deepEqual(seen.slice(3, 7), ["live-0", "live-1", "live-2", "live-3"]);
  follower.stop();
  // Stopped just before it asks, it would wait for the answer.
  await service.putDocument({ db, docId: "last", document: {} });
  await ended;
});

scenario("a continuous feed streams, and ends after its timeout", async (t) => {
  const db = await filled(t, orders(20));
  const { result } = await service.postChangesAsStream({ db, feed: "continuous", timeout: 300, includeDocs: true });
  const lines = (await text(result)).trim().split("\n").map((line) => JSON.parse(line));
  assert.equal(lines.length, 21);
  assert.equal(lines[19].doc.sum, 190);
  assert.equal(lines[20].pending, 0);
});

scenario("the server says what it is and has", async (t) => {
  const db = await filled(t, orders(4));
  assert.equal((await service.getServerInformation()).result.couchdb, "Welcome");
  assert.equal((await service.getUpInformation()).result.status, "ok");
  assert.equal((await service.getUuids({ count: 3 })).result.uuids.length, 3);
  assert.ok((await service.getAllDbs()).result.includes(db));
  const { result } = await service.postDbsInfo({ keys: [db, "none"] });
  assert.deepEqual([result[0].info.docCount, result[1].error], [4, "not_found"]);
  assert.equal((await service.getDatabaseInformation({ db })).result.docCount, 4);
  assert.deepEqual((await service.getActiveTasks()).result, []);
});

scenario("replications are documents with a state", async (t) => {
  const db = await filled(t, orders(50));
  const target = await database(t, { create: false });
  const docId = freshName("copy");
  const replicationDocument = {
    source: { url: `${url}/${db}` },
    target: { url: `${url}/${target}` },
    create_target: true,
  };
  await service.putReplicationDocument({ docId, replicationDocument });
  const state = await eventually(async () => {
    const { result } = await service.getSchedulerDocument({ docId });
    assert.equal(result.state, "completed");
    return result;
  });
  assert.equal(state.info.docsWritten, 50);
  assert.ok(!JSON.stringify(state).includes(admin.password));
  const { result: docs } = await service.getSchedulerDocs({ states: ["completed"] });
  assert.ok(docs.docs.some((each) => each.docId === docId));
  const { result: stored } = await service.getReplicationDocument({ docId });
  assert.equal(stored._replication_state, "completed");
  await service.deleteReplicationDocument({ docId, rev: stored._rev });
  await assert.rejects(service.headReplicationDocument({ docId }), { status: 404 });
  assert.equal((await ask("GET", `/${target}`)).body.doc_count, 50);
});
