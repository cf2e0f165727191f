// A PouchDB that does what it is told: one JSON command a line on stdin, one JSON answer a line on stdout.
//
//   {"do": "put", "doc": {…}}             an edit; conflicts are answered, not thrown
//   {"do": "remove", "id": …}
//   {"do": "replicate", "from": …, "to": …}   URLs, or null for this PouchDB itself
//   {"do": "leaves"}                      {id: {winner, leaves: {rev: doc}}}

import readline from "node:readline";

import PouchDB from "pouchdb";
import memory from "pouchdb-adapter-memory";

PouchDB.plugin(memory);
const own = new PouchDB("commanded", { adapter: "memory", revs_limit: 1000 });

async function leaves() {
  const changes = await own.changes({ since: 0, style: "all_docs", include_docs: true });
  const found = {};
  for (const row of changes.results) {
    const all = await own.get(row.id, { open_revs: "all", revs: true });
    // An ancestor of a leaf may be listed when its body is still there.
    const revs = new Set(row.changes.map((each) => each.rev));
    const docs = all.map((each) => each.ok).filter((doc) => doc && revs.has(doc._rev));
    found[row.id] = {
      winner: row.doc._rev,
      leaves: Object.fromEntries(docs.map((doc) => [doc._rev, doc])),
    };
  }
  return found;
}

const commands = {
  async put({ doc }) {
    return own.put(doc, { force: doc._revisions !== undefined });
  },
  async get({ id }) {
    return own.get(id);
  },
  async replicate({ from, to }) {
    const ends = [from, to].map((end) => (end === null ? own : new PouchDB(end)));
    const result = await PouchDB.replicate(ends[0], ends[1], { batch_size: 7 });
    return { ok: result.ok, written: result.docs_written };
  },
  leaves,
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  let answer;
  try {
    answer = await commands[command.do](command);
  } catch (error) {
    answer = { error: error.name ?? "error", reason: String(error.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
