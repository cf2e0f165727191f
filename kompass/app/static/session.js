// Who is logged in. The cookie is the server's; what is kept here is only the name, for days without a server.
const LAST_USER = "kompass.user";

export class LoginError extends Error {}

/** The name of the logged-in user, or null; throws when the server can't be reached. */
export async function currentUser() {
  const answer = await fetch("/_session", { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`Server antwortet mit ${answer.status}`);
  return (await answer.json()).userCtx.name;
}

export async function login(name, password) {
  let answer;
  try {
    answer = await fetch("/_session", {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({ name, password }),
    });
  } catch {
    throw new LoginError("Der Server ist nicht erreichbar.");
  }
  if (answer.status === 401) throw new LoginError("Name oder Passwort ist falsch.");
  if (answer.status === 403) throw new LoginError("Zu viele Versuche. Bitte in einigen Minuten noch einmal.");
  if (!answer.ok) throw new LoginError(`Der Server antwortet mit ${answer.status}.`);
  return (await answer.json()).name ?? name;
}

export async function logout() {
  localStorage.removeItem(LAST_USER);
  await fetch("/_session", { method: "DELETE" }).catch(() => {});
}

export const rememberUser = (name) => localStorage.setItem(LAST_USER, name);

/** Who worked on this device last and may go on with local data while there is no server. */
export const lastUser = () => localStorage.getItem(LAST_USER);
