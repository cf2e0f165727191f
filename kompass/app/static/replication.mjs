// A live replication that doesn't give up: one direction, and both. Runs in browsers and in Node.js.
//
// PouchDB's own `retry: true` can lose documents for good: when a page of changes can't be read while a batch is being
// written, the failed attempt drops what it has read ahead, goes on behind it beside the new attempt, and moves the
// checkpoint. Here a failed attempt is cancelled before another one begins at the checkpoint.

/** Milliseconds between attempts: twice as many after each failure, none of them exact, so that devices spread out. */
const SHORTEST = 1_000;
const LONGEST = 30_000;

/** Not logged in, not allowed: the next attempt would fail as well. */
const FINAL = [401, 403];

export class Replication {
  /**
   * `begin` starts an attempt, without `retry`: `() => db.replicate.from(remote, { live: true })`.
   * `handlers` are functions, called with what PouchDB's events bring: `change`, `denied`, and
   * `phase` whenever `phase` was set, with nothing, and `failed` where it ended, with the error.
   */
  constructor(begin, handlers) {
    this.begin = begin;
    this.handlers = { change() {}, denied() {}, phase() {}, failed() {}, ...handlers };
    this.attempt = this.timer = null;
    this.failures = 0;
    /** "active", "idle" (all there is has been replicated) or "retry" (failed with `error`, waits to try again). */
    this.phase = "active";
    this.error = null;
  }

  start() {
    globalThis.addEventListener?.("online", this.#hurry);
    this.#attempt();
  }

  stop() {
    globalThis.removeEventListener?.("online", this.#hurry);
    this.#leave();
  }

  /** Begins anew at the checkpoint, now. */
  again() {
    if (!this.attempt && !this.timer) return; // stopped
    this.#leave();
    this.#attempt();
  }

  #hurry = () => {
    if (this.timer) this.again();
  };

  #leave() {
    clearTimeout(this.timer);
    this.attempt?.cancel();
    this.timer = this.attempt = null;
  }

  #attempt() {
    const attempt = this.begin();
    this.attempt = attempt;
    const on = (event, handle) => attempt.on(event, (detail) => this.attempt === attempt && handle(detail));
    on("active", () => this.#set("active"));
    on("paused", () => {
      this.failures = 0;
      this.#set("idle");
    });
    on("change", (change) => {
      this.failures = 0;
      this.handlers.change(change);
    });
    on("denied", (error) => this.handlers.denied(error));
    on("error", (error) => this.#failed(error));
  }

  #failed(error) {
    if (FINAL.includes(error.status)) {
      this.stop();
      this.handlers.failed(error);
      return;
    }
    this.#leave();
    const wait = Math.min(LONGEST, SHORTEST * 2 ** this.failures) * (0.5 + Math.random() / 2);
    this.failures += 1;
    this.timer = setTimeout(() => this.again(), wait);
    this.#set("retry", error);
  }

  #set(phase, error = null) {
    Object.assign(this, { phase, error });
    this.handlers.phase();
  }
}

/** Milliseconds: what is refused comes in numbers, and one answer brings what the server has instead of all of it. */
const SOON = 200;

export class LiveSync {
  /**
   * Both directions between two databases. `handlers`, all of them optional: `pulled` and `pushed` get PouchDB's
   * changes, `denied` a document that the server refused, `phase` is called with nothing whenever `phase` may have
   * changed, and `failed` with the error when the server takes nothing more from this login (401, 403).
   */
  constructor(local, remote, handlers = {}, options = {}) {
    const given = { pulled() {}, pushed() {}, denied() {}, phase() {}, failed() {}, ...handlers };
    const all = { ...options, live: true };
    const failed = (error) => {
      this.stop();
      given.failed(error);
    };
    this.running = false;
    this.pull = new Replication(() => local.replicate.from(remote, all), {
      change: given.pulled,
      phase: () => given.phase(),
      failed,
    });
    this.push = new Replication(() => local.replicate.to(remote, all), {
      change: given.pushed,
      denied: (error) => {
        given.denied(error);
        // The feed may have passed by what the device now has to get instead.
        this.timer ??= setTimeout(() => this.#pullAgain(), SOON);
      },
      phase: () => given.phase(),
      failed,
    });
  }

  /** "retry", "active" or "idle", whatever is furthest from done. */
  get phase() {
    return ["retry", "active", "idle"].find((each) => each === this.pull.phase || each === this.push.phase);
  }

  /** Why an attempt failed, while another one is awaited; else null. */
  get error() {
    return this.pull.error ?? this.push.error;
  }

  start() {
    this.running = true;
    this.pull.start();
    this.push.start();
  }

  stop() {
    this.running = false;
    clearTimeout(this.timer);
    this.timer = undefined;
    this.pull.stop();
    this.push.stop();
  }

  #pullAgain() {
    this.timer = undefined;
    this.pull.again();
  }
}
