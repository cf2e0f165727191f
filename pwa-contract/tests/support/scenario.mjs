// A scenario is a test of node:test. KOMPASS_TEST_SCENARIO, a title, leaves only that one.

import { test } from "node:test";

export function scenario(title, body) {
  const wanted = process.env.KOMPASS_TEST_SCENARIO;
  if (wanted === undefined || wanted === title) {
    test(title, { timeout: 100_000 }, body);
  }
}
