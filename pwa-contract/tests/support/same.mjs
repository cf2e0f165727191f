// What two databases that have replicated must agree on.

import assert from "node:assert/strict";

/** Types of attachments that CouchDB and this server store as gzip. */
const PACKED = /^(text\/|application\/(javascript|json|xml)\s*(;|$))/i;

/** All leaves of all documents, deleted ones included: {id: {deleted, revs}}. */
export async function leaves(db) {
  const { results } = await db.changes({ style: "all_docs" });
  return Object.fromEntries(
    results.map(({ id, deleted = false, changes }) => [id, { deleted, revs: changes.map(({ rev }) => rev).sort() }]),
  );
}

/**
 * The winners with their bodies, deleted ones included, and `_conflicts` in order: {id: document}.
 * Not from allDocs: PouchDB's on LevelDB leaves out ids that begin with some characters.
 */
export async function documents(db) {
  const { results } = await db.changes({ include_docs: true, conflicts: true });
  return Object.fromEntries(
    results.map(({ id, doc }) => {
      doc._conflicts?.sort();
      for (const stub of Object.values(doc._attachments ?? {})) {
        delete stub.revpos; // PouchDB counts an attachment as new with every revision it pulls
        // The server packs text, as CouchDB does, and its digest is then of the packed bytes.
        if (PACKED.test(stub.content_type)) delete stub.digest;
      }
      return [id, doc];
    }),
  );
}

/** Both hold the same leaves, the same winners and the same bodies. */
export async function assertSame(one, other) {
  assert.deepEqual(await leaves(one), await leaves(other));
  assert.deepEqual(await documents(one), await documents(other));
}
