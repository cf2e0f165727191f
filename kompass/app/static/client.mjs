// A device: who works on it, until when without the server, and its end when it is reported lost.
//
// Runs in browsers and in Node.js, and is all that a client needs beside PouchDB and `replication.mjs`. What it keeps
// is in `storage`, as localStorage: names, times and numbers, never a password or a token.

const KEEP = "kompass.";
const DEVICE = `${KEEP}device`;
const USER = `${KEEP}user`;
const DATABASES = `${KEEP}databases`;
/** Set until all databases are destroyed: a wipe that was interrupted goes on. */
const WIPING = `${KEEP}wiping`;
/** Set from a wipe to the next login. */
const WIPED = `${KEEP}wiped`;
const lease = (user) => `${KEEP}lease.${user}`;
const report = (user) => `${KEEP}report.${user}`;

/** Milliseconds. */
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const PREFIX = "kompass-";

/** An answer other than success: `status`, `reason`, and `answer`, the body, where there is one. */
export class RefusedError extends Error {
  constructor(status, answer) {
    const reason = answer?.detail ?? answer?.reason ?? "";
    super(`${status} ${reason}`.trim());
    Object.assign(this, { name: "RefusedError", status, reason, answer });
  }
}

/**
 * Emits "wipe" when the device has to erase what it holds: end replications, close databases, and hand the event's
 * `waitUntil` a promise of that.
 */
export class Client extends EventTarget {
  #contact = 0;

  /**
   * `server`: its address, as `location.origin`; `PouchDB`: the constructor; `appVersion`: of the application;
   * `fetch`: one that keeps cookies; `now`: the time in milliseconds; `options`: of local databases.
   */
  constructor({ server, PouchDB, storage, appVersion, fetch = (...asked) => globalThis.fetch(...asked), now = () => Date.now(), options = {} }) {
    super();
    Object.assign(this, { server, PouchDB, storage, appVersion, now, fetch, options });
    /** The wipe that goes on, or null: a promise that is rejected if a database could not be destroyed. */
    this.wiping = null;
  }

  // -- asking ---------------------------------------------------------------------------------

  /** What the server calls this device by: made once, and kept through a wipe. */
  get device() {
    let id = this.storage.getItem(DEVICE);
    if (!id) {
      id = randomUuid();
      this.storage.setItem(DEVICE, id);
    }
    return id;
  }

  /** Asks below `/api/v1`. Resolves to the answer's body; throws RefusedError, and TypeError if there is no server. */
  async ask(method, path, body, headers = {}) {
    const [response, answer] = await this.#ask(method, path, body, headers);
    if (!response.ok) throw new RefusedError(response.status, answer);
    return answer;
  }

  async #ask(method, path, body, headers) {
    const given = body === undefined ? {} : { "content-type": "application/json" };
    const response = await this.fetch(`${this.server}/api/v1/${path}`, {
      method,
      credentials: "same-origin",
      headers: { accept: "application/json", ...given, ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const answer = await response.json().catch(() => null);
    this.#judge(response.status, answer);
    return [response, answer];
  }

  #judge(status, answer) {
    if (status === 401 && answer?.wipe === true) this.wipe().catch(() => {});
  }

  /** The database on the server. It tells contact and a wipe from what is answered. */
  remote(name = "kompass") {
    const fetch = async (url, init) => {
      const response = await this.fetch(url, init);
      if (response.ok) this.#met();
      else if (response.status === 401) this.#judge(401, await response.clone().json().catch(() => null));
      return response;
    };
    return new this.PouchDB(`${this.server}/${name}`, { skip_setup: true, fetch });
  }

  // -- who ------------------------------------------------------------------------------------

  /** Who logged in here last, or null. */
  get user() {
    return this.storage.getItem(USER);
  }

  /** How one can log in: `{password, keycloak}`. Asked without a cookie: a lost device would be told to erase, again. */
  async ways() {
    const response = await this.fetch(`${this.server}/api/v1/login`, { credentials: "omit" });
    if (!response.ok) throw new RefusedError(response.status, await response.json().catch(() => null));
    return response.json();
  }

  /** Who is logged in: the session, or null; throws TypeError if there is no server. */
  async session() {
    const [response, session] = await this.#ask("GET", "session");
    if (response.status === 401) return null;
    if (!response.ok) throw new RefusedError(response.status, session);
    this.#learn(session, response, false);
    return session;
  }

  /** `{name, password}` or `{token}`. Resolves to the session. */
  async logIn({ name, password, token }) {
    const headers = { "x-kompass-device": this.device, "x-kompass-app-version": this.appVersion };
    if (token) headers.authorization = `Bearer ${token}`;
    const body = token ? undefined : { name, password };
    const [response, session] = await this.#ask("POST", "session", body, headers);
    if (!response.ok) throw new RefusedError(response.status, session);
    this.storage.removeItem(WIPED);
    this.#learn(session, response, true);
    return session;
  }

  /** The local data stay, for the next time. */
  async logOut() {
    this.storage.removeItem(USER);
    await this.ask("DELETE", "session");
  }

  #learn(session, response, isLogin) {
    const { name, device, lease_until: until } = session;
    this.storage.setItem(USER, name);
    if (!until) return;
    // By the server's clock: the device's may be wrong.
    const servers = Date.parse(response.headers.get("date") ?? "") || this.now();
    const known = { length: Math.max(0, Date.parse(until) - servers), device: device?.id };
    const before = this.#lease(name);
    if (!isLogin && before && this.isLocked(name)) return;
    this.#keepLease(name, { ...before, ...known, contact: this.now(), latest: this.now() });
  }

  // -- how long without the server ------------------------------------------------------------

  #lease(user) {
    const text = this.storage.getItem(lease(user));
    return text ? JSON.parse(text) : null;
  }

  #keepLease(user, value) {
    this.storage.setItem(lease(user), JSON.stringify(value));
  }

  /** The server has answered somebody who is logged in: the lease begins anew, unless it has run out. */
  #met() {
    const { user } = this;
    if (!user || Math.abs(this.now() - this.#contact) < MINUTE || this.isLocked(user)) return;
    this.#contact = this.now();
    const known = this.#lease(user);
    this.#keepLease(user, { ...known, contact: this.now(), latest: this.now() });
  }

  /** When the lease ends, in milliseconds since 1970; 0 for somebody who never logged in here. */
  leaseUntil(user) {
    const known = this.#lease(user);
    return known ? known.contact + known.length : 0;
  }

  /**
   * Whether somebody's lease has run out: show nothing of his data until he has logged in. Setting the clock back
   * doesn't help: the latest time that was seen counts.
   */
  isLocked(user) {
    const known = this.#lease(user);
    if (!known) return true;
    const latest = Math.max(known.latest, this.now());
    if (latest - known.latest >= MINUTE) this.#keepLease(user, { ...known, latest });
    return latest >= known.contact + known.length;
  }

  // -- what is here ---------------------------------------------------------------------------

  /** The user's local database: his alone, since what one may see is not what another may see. */
  local(user) {
    if (this.storage.getItem(WIPING)) throw new Error("This device is being erased.");
    const name = PREFIX + user;
    const known = this.#databases();
    if (!known.includes(name)) this.storage.setItem(DATABASES, JSON.stringify([...known, name]));
    return new this.PouchDB(name, { auto_compaction: true, ...this.options });
  }

  #databases() {
    return JSON.parse(this.storage.getItem(DATABASES) ?? "[]");
  }

  /** Tells the server how many documents the device holds, and its application's version, if that is news. */
  async report(documents) {
    const { user } = this;
    const device = user && this.#lease(user)?.device;
    if (!device) return;
    const news = JSON.stringify([device, documents, this.appVersion]);
    const last = JSON.parse(this.storage.getItem(report(user)) ?? "{}");
    if (last.news === news && Math.abs(this.now() - last.at) < HOUR) return;
    await this.ask("PATCH", `devices/${device}`, { documents, app_version: this.appVersion });
    this.storage.setItem(report(user), JSON.stringify({ news, at: this.now() }));
  }

  // -- the end --------------------------------------------------------------------------------

  /** When the device was wiped, if nobody has logged in since; else null. */
  get wiped() {
    return this.storage.getItem(WIPED);
  }

  /** Goes on with a wipe that was interrupted. Call it first. Resolves to whether there was one. */
  async resume() {
    if (!this.storage.getItem(WIPING)) return false;
    await this.wipe();
    return true;
  }

  /** Destroys all local databases, of all users, and forgets what is known of them. The device's id stays. */
  wipe() {
    this.storage.setItem(WIPING, "1");
    this.wiping ??= Promise.resolve().then(() => this.#wipe()).finally(() => (this.wiping = null));
    return this.wiping;
  }

  async #wipe() {
    const lettingGo = [];
    this.dispatchEvent(Object.assign(new Event("wipe"), { waitUntil: (promise) => lettingGo.push(promise) }));
    await Promise.allSettled(lettingGo);
    const names = new Set([...this.#databases(), ...(await namesInBrowser())]);
    const ended = [...names].map((name) => new this.PouchDB(name, this.options).destroy());
    const failed = (await Promise.allSettled(ended)).find(({ status }) => status === "rejected");
    if (failed) throw failed.reason;
    const kept = Array.from({ length: this.storage.length }, (_, index) => this.storage.key(index));
    for (const key of kept) if (key.startsWith(KEEP) && ![DEVICE, WIPING].includes(key)) this.storage.removeItem(key);
    this.storage.setItem(WIPED, new Date(this.now()).toISOString());
    this.storage.removeItem(WIPING);
  }
}

/** Databases that somebody made without `local`, where the browser can list them. */
async function namesInBrowser() {
  const found = (await globalThis.indexedDB?.databases?.()) ?? [];
  const own = `_pouch_${PREFIX}`;
  return found.filter(({ name }) => name.startsWith(own)).map(({ name }) => name.slice("_pouch_".length));
}

/** crypto.randomUUID is missing on plain http from another machine; random bytes are not. */
export function randomUuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
