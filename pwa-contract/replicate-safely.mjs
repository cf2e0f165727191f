/** Begins anew at the checkpoint whenever an attempt fails. `begin` starts one, without `retry`. */
export async function replicateSafely(begin, { shortest = 1_000, longest = 30_000 } = {}) {
  for (let wait = shortest; ; wait = Math.min(2 * wait, longest)) {
    const attempt = begin();
    attempt.on("change", () => (wait = shortest));
    attempt.on("error", () => attempt.cancel());
    try {
      return await attempt;
    } catch (error) {
      if (error.status === 401 || error.status === 403) throw error;
      await new Promise((resume) => setTimeout(resume, wait * (0.5 + Math.random() / 2)));
    }
  }
}
