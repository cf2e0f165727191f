// The PouchDBs of one person, who does what he is told: one JSON command a line on stdin, one JSON answer a line on
// stdout. The server may break off any replication; a device goes on with the next one, from its checkpoint.
//
//   {"do": "pull" | "push", "device": …, "batch": 1…}   {written} or {error}
//   {"do": "write", "device": …, "id": …, "body": {…}, "deleted": …, "attachments": {name: base64}}
//   {"do": "changed", "device": …}   {id: {winner, leaves: [doc with _revisions and attachments]}} since it was last asked

import readline from "node:readline";

import PouchDB from "pouchdb";
import memory from "pouchdb-adapter-memory";

PouchDB.plugin(memory);

const { KOMPASS_TEST_SERVER: server, KOMPASS_TEST_USER: username, KOMPASS_TEST_PASSWORD: password } = process.env;
const devices = new Map();

function device(name) {
  if (!devices.has(name)) {
    const own = new PouchDB(`${name}-${process.pid}`, { adapter: "memory", auto_compaction: true });
    const remote = new PouchDB(`${server}/kompass`, {
      skip_setup: true,
      auth: { username, password },
      fetch: (url, options) => {
        options.headers.set("x-device", name);
        return PouchDB.fetch(url, options);
      },
    });
    devices.set(name, { own, remote, told: 0 });
  }
  return devices.get(name);
}

async function replicate(source, target, batch) {
  try {
    const result = await PouchDB.replicate(source, target, { batch_size: batch });
    return { written: result.docs_written, read: result.docs_read };
  } catch (error) {
    return { error: error.name ?? "error", status: error.status ?? 0, reason: String(error.message ?? error) };
  }
}

const commands = {
  pull: ({ device: name, batch }) => replicate(device(name).remote, device(name).own, batch),
  push: ({ device: name, batch }) => replicate(device(name).own, device(name).remote, batch),
  async write({ device: name, id, body, deleted, attachments }) {
    const { own } = device(name);
    const doc = { ...body, _id: id };
    const before = await own.get(id).catch((error) => (error.status === 404 ? null : Promise.reject(error)));
    if (before) doc._rev = before._rev;
    if (deleted) doc._deleted = true;
    for (const [file, data] of Object.entries(attachments)) {
      doc._attachments ??= {};
      doc._attachments[file] = { content_type: "application/octet-stream", data };
    }
    return own.put(doc);
  },
  async changed({ device: name }) {
    const one = device(name);
    const changes = await one.own.changes({ since: one.told, style: "all_docs", include_docs: true });
    one.told = changes.last_seq;
    const found = {};
    for (const row of changes.results) {
      const revs = row.changes.map((each) => each.rev);
      const leaves = await one.own.get(row.id, { open_revs: revs, revs: true, attachments: true });
      found[row.id] = { winner: row.doc._rev, leaves: leaves.map((leaf) => leaf.ok).filter(Boolean) };
    }
    return found;
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  let answer;
  try {
    answer = await commands[command.do](command);
  } catch (error) {
    answer = { error: error.name ?? "error", status: error.status ?? 0, reason: String(error.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
