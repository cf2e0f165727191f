import { setTimeout as sleep } from "node:timers/promises";

/** Repeats `check` until it stops throwing; after `seconds` its last error is the answer. */
export async function eventually(check, seconds = 20) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) {
        throw error;
      }
      await sleep(20);
    }
  }
}

/** What an event of `emitter` brings; rejects on `error`. */
export function once(emitter, event) {
  return new Promise((resolve, reject) => {
    emitter.once(event, resolve);
    emitter.once("error", reject);
  });
}

/** Sees to it that a live replication ends with the scenario, also when that fails. */
export function live(t, replication) {
  t.after(() => replication.cancel());
  return replication;
}

/** Ends a live replication and waits until it has ended. */
export async function stop(replication) {
  const ended = new Promise((resolve) => {
    replication.once("complete", resolve);
    replication.once("error", resolve);
  });
  replication.cancel();
  await ended;
}
