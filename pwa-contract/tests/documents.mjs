// Single documents and batches through PouchDB's http adapter, revisions and branches included.

import assert from "node:assert/strict";
import { ask, remote } from "./support/devices.mjs";
import { scenario } from "./support/scenario.mjs";

const revisions = (docs) => ({ docs: docs.map(({ _id, ...rest }) => ({ _id: _id ?? "doc", ...rest })) });

/**
 * The document `doc` with two branches and a deleted one:
 * 1-a -> 2-b -> 3-c (wins), 1-a -> 2-d, 1-a -> 2-e (deleted)
 */
async function branched(t) {
  const db = remote(t);
  const history = (...ids) => ({ start: ids.length, ids });
  const results = await db.bulkDocs(
    revisions([
      { _rev: "1-a", text: "a", _revisions: history("a") },
      { _rev: "2-b", text: "b", _revisions: history("b", "a") },
      { _rev: "3-c", text: "c", _revisions: history("c", "b", "a") },
      { _rev: "2-d", text: "d", _revisions: history("d", "a") },
      { _rev: "2-e", _deleted: true, _revisions: history("e", "a") },
    ]),
    { new_edits: false },
  );
  assert.deepEqual(results, []);
  return db;
}

scenario("a batch is answered row by row, in order, conflicts included", async (t) => {
  const db = remote(t);
  const { rev } = await db.put({ _id: "known" });
  const rows = await db.bulkDocs([{ _id: "new" }, { _id: "known" }, { text: "no id" }, { _id: "known", _rev: rev }]);
  assert.deepEqual(rows.map(({ ok, status }) => ok ?? status), [true, 409, true, true]);
  assert.equal(rows[0].id, "new");
  assert.match(rows[2].id, /./);
  assert.match(rows[3].rev, /^2-/);
});

scenario("put, get, edit and remove keep PouchDB's promises", async (t) => {
  const db = remote(t);
  const { rev } = await db.put({ _id: "doc", list: [1, "zwei", null, { drei: 3.5 }], "": "empty", ä: 1e21 });
  assert.deepEqual(await db.get("doc"), {
    _id: "doc",
    _rev: rev,
    list: [1, "zwei", null, { drei: 3.5 }],
    "": "empty",
    ä: 1e21,
  });
  await assert.rejects(db.put({ _id: "doc" }), { status: 409, name: "conflict" });
  await assert.rejects(db.put({ _id: "doc", _rev: "1-wrong" }), { status: 409 });
  const posted = await db.post({ text: "posted" });
  assert.equal((await db.get(posted.id)).text, "posted");
  const second = await db.put({ _id: "doc", _rev: rev, n: 2 });
  await assert.rejects(db.remove("doc", rev), { status: 409 });
  await db.remove("doc", second.rev);
  await assert.rejects(db.get("doc"), { status: 404, reason: "deleted" });
  await assert.rejects(db.get("nothing"), { status: 404, reason: "missing" });
});

scenario("get answers the winner, with history, conflicts and what is known of revisions", async (t) => {
  const db = await branched(t);
  assert.equal((await db.get("doc")).text, "c");
  assert.deepEqual((await db.get("doc", { revs: true }))._revisions, { start: 3, ids: ["c", "b", "a"] });
  assert.deepEqual((await db.get("doc", { conflicts: true }))._conflicts, ["2-d"]);
  const { _revs_info } = await db.get("doc", { revs_info: true });
  assert.deepEqual(_revs_info.map(({ rev }) => rev), ["3-c", "2-b", "1-a"]);
  assert.equal(_revs_info[0].status, "available");
});

scenario("get answers an asked revision, a deleted one too, and 404 for one that isn't there", async (t) => {
  const db = await branched(t);
  assert.equal((await db.get("doc", { rev: "2-d" })).text, "d");
  assert.equal((await db.get("doc", { rev: "2-b" })).text, "b");
  assert.deepEqual(await db.get("doc", { rev: "2-e" }), { _id: "doc", _rev: "2-e", _deleted: true });
  await assert.rejects(db.get("doc", { rev: "4-x" }), { status: 404 });
  await assert.rejects(db.get("doc", { rev: "nonsense" }), { status: 400 });
});

scenario("open_revs answers asked leaves or all of them", async (t) => {
  const db = await branched(t);
  const all = await db.get("doc", { open_revs: "all", revs: true });
  assert.deepEqual(all.map(({ ok }) => ok._rev).sort(), ["2-d", "2-e", "3-c"]);
  const asked = await db.get("doc", { open_revs: ["2-d", "7-missing"] });
  assert.deepEqual(asked.map(({ ok, missing }) => ok?._rev ?? `${missing} missing`), ["2-d", "7-missing missing"]);
  const latest = await db.get("doc", { open_revs: ["2-b"], latest: true });
  assert.deepEqual(latest.map(({ ok }) => ok._rev), ["3-c"]);
  const below = await db.get("doc", { open_revs: ["1-a"], latest: true });
  assert.deepEqual(below.map(({ ok }) => ok._rev).sort(), ["2-d", "2-e", "3-c"]);
});

scenario("bulkGet answers a row for each request, in order", async (t) => {
  const db = await branched(t);
  await db.put({ _id: "other" });
  const { results } = await db.bulkGet({
    docs: [{ id: "other" }, { id: "doc", rev: "2-d" }, { id: "nothing" }, { id: "doc" }, { id: "doc", rev: "9-x" }],
    revs: true,
  });
  assert.deepEqual(results.map(({ id }) => id), ["other", "doc", "nothing", "doc", "doc"]);
  const said = results.map(({ docs }) => docs.map(({ ok, error }) => ok?._rev.slice(0, 3) ?? error.error).sort());
  assert.deepEqual(said, [["1-" + results[0].docs[0].ok._rev[2]], ["2-d"], ["not_found"], ["2-d", "2-e", "3-c"], ["not_found"]]);
  assert.deepEqual(results[1].docs[0].ok._revisions, { start: 2, ids: ["d", "a"] });
  const { results: [latest] } = await db.bulkGet({ docs: [{ id: "doc", rev: "2-b" }], latest: true });
  assert.equal(latest.docs[0].ok._rev, "3-c");
});

scenario("revsDiff names what is missing and what it may descend from", async (t) => {
  const db = await branched(t);
  const diff = await db.revsDiff({ doc: ["3-c", "1-a", "4-new"], unknown: ["1-x"], other: [] });
  assert.deepEqual(diff.doc.missing, ["4-new"]);
  assert.deepEqual(diff.doc.possible_ancestors.sort(), ["2-d", "2-e", "3-c"]);
  assert.deepEqual(diff.unknown, { missing: ["1-x"] });
  assert.equal(diff.other, undefined);
});

scenario("a branch is edited and deleted by its revision", async (t) => {
  const db = await branched(t);
  const { rev } = await db.put({ _id: "doc", _rev: "2-d", text: "third" });
  await db.put({ _id: "doc", _rev: rev, text: "fourth" });
  const { text, _conflicts } = await db.get("doc", { conflicts: true });
  assert.deepEqual([text, _conflicts], ["fourth", ["3-c"]]);
  await db.remove("doc", "3-c");
  assert.equal((await db.get("doc", { conflicts: true }))._conflicts, undefined);
});

scenario("revisions that come twice, or late, change nothing", async (t) => {
  const db = await branched(t);
  const { update_seq } = await db.info();
  const again = [
    { _rev: "3-c", text: "c", _revisions: { start: 3, ids: ["c", "b", "a"] } },
    { _rev: "2-b", text: "b", _revisions: { start: 2, ids: ["b", "a"] } },
  ];
  assert.deepEqual(await db.bulkDocs(revisions(again), { new_edits: false }), []);
  assert.equal((await db.info()).update_seq, update_seq);
});

scenario("unusual bodies arrive as they are", async (t) => {
  const db = remote(t);
  const deep = JSON.parse(`${"[".repeat(100)}1${"]".repeat(100)}`);
  const bodies = {
    unicode: "𝒜 e\u0301 \u0000 \u2028 \ud83d\ude80 \\u0041",
    numbers: [0, 1, 1.5, 2 ** 53, 1e-7, 5e-324, 1.7976931348623157e308, 0.1],
    deep,
    keys: { "": 1, __proto: 2, constructor: 3, "a.b": 4, $eq: 5, 'q"uote': 6 },
    empty: [{}, [], "", null, false],
  };
  await db.put({ _id: "doc", ...bodies });
  const { _id, _rev, ...got } = await db.get("doc");
  assert.deepEqual(got, bodies);
});

scenario("a document without an object as its body is refused", async (t) => {
  const db = remote(t);
  await db.info();
  const path = new URL(db.name).pathname;
  for (const body of [[], "text", 1, null]) {
    const { status } = await ask("PUT", `${path}/doc`, body);
    assert.equal(status, 400);
  }
  await assert.rejects(db.put({ _id: "doc", _unknown: 1 }), { status: 400, name: "doc_validation" });
});
