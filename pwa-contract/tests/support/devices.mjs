// The two ends of a replication: a device's own database, and one on the server under test.

import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import PouchDB from "pouchdb";
import memory from "pouchdb-adapter-memory";
import find from "pouchdb-find";

PouchDB.plugin(memory);
PouchDB.plugin(find);

export { PouchDB };

const server = new URL(process.env.KOMPASS_TEST_SERVER ?? "http://admin:geheim@127.0.0.1:5984");

/** The server's address without name and password. */
export const origin = server.origin;

let made = 0;
/** A database name nobody else uses. */
export const freshName = (prefix = "db") => `${prefix}-${process.pid}-${(made += 1)}`;

/** The address of a path on the server; `user` is null for nobody, or {name, password}. */
export function address(path, user = { name: server.username, password: server.password }) {
  const url = new URL(path, server.origin);
  if (user) {
    url.username = user.name;
    url.password = user.password;
  }
  return url.href;
}

/** Asks the server without PouchDB, as administrator: {status, body}. */
export async function ask(method, path, body) {
  const login = Buffer.from(`${server.username}:${server.password}`).toString("base64");
  const response = await fetch(new URL(path, server.origin), {
    method,
    headers: { authorization: `Basic ${login}`, "content-type": "application/json", accept: "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

/** The server's database `name`, through PouchDB. It is destroyed after the scenario. */
export function remote(t, name = freshName(), { user, ...options } = {}) {
  const path = `/${encodeURIComponent(name)}`;
  t.after(() => ask("DELETE", path));
  return new PouchDB(address(path, user), options);
}

/** A device's empty database. `adapter` is `memory`, or `leveldb` for one on disk. */
export function device(t, { adapter = "memory", ...options } = {}) {
  let name = freshName("device");
  if (adapter === "leveldb") {
    const directory = mkdtempSync(join(tmpdir(), "device-"));
    t.after(() => rm(directory, { recursive: true, force: true }));
    name = join(directory, name);
  }
  const db = new PouchDB(name, { adapter, ...options });
  t.after(() => db.close());
  return db;
}

/**
 * Options of PouchDB that call `seen(method, path, query, body)` for each request.
 *
 * They fetch as a browser does. PouchDB's own fetch in Node.js (node-fetch 2) waits for ever for the
 * rest of a compressed response that was cut.
 */
export function watched(seen) {
  return {
    async fetch(url, { headers, ...options } = {}) {
      const { pathname, searchParams } = new URL(url);
      seen(options.method ?? "GET", decodeURIComponent(pathname), searchParams, options.body);
      const response = await fetch(url, { ...options, headers: [...(headers ?? [])] });
      response.buffer = async () => Buffer.from(await response.arrayBuffer());
      return response;
    },
  };
}
