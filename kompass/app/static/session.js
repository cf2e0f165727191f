// This device and whoever is logged in on it, in the page's words.
import { Client } from "./client.mjs";
import { t } from "./i18n.js";
import { beginLogin, finishLogin, logoutUrl } from "./keycloak.mjs";

/** That of the package; a test compares them. */
const VERSION = "0.1.0";

/** Where the login at Keycloak can be ended without a question. */
const ID_TOKEN = "kompass.idToken";

/** `index.html` loads PouchDB first, if it is installed. */
export const client = new Client({
  server: location.origin,
  PouchDB: globalThis.PouchDB,
  storage: localStorage,
  appVersion: VERSION,
});

const page = () => location.origin + location.pathname;

/** Resolves to the session; throws an error whose message says what to do. */
export async function logIn(proof) {
  try {
    return await client.logIn(proof);
  } catch (error) {
    throw new Error(explained(error, proof));
  }
}

function explained(error, { token }) {
  if (!error.status) return t("Der Server ist nicht erreichbar.", "The server can't be reached.");
  if (error.answer?.wipe) return t("Dieses Gerät ist gesperrt.", "This device is locked.");
  if (error.status === 401 && !token) return t("Name oder Passwort ist falsch.", "Name or password is wrong.");
  if (error.status === 401) {
    return t(`Die Anmeldung wird nicht angenommen: ${error.reason}`, `The login isn't accepted: ${error.reason}`);
  }
  if (error.status === 403) {
    return t("Zu viele Versuche. Bitte in einigen Minuten noch einmal.", "Too many attempts. Please try again in some minutes.");
  }
  return t(`Der Server antwortet mit ${error.status}.`, `The server answers ${error.status}.`);
}

/** Leaves the page for Keycloak; it comes back with an answer in its address. */
export async function goToKeycloak(keycloak) {
  try {
    const remember = location.hash.startsWith("#/") ? location.hash : "";
    location.assign(await beginLogin(keycloak, { redirectUri: page(), storage: sessionStorage, remember }));
  } catch (error) {
    throw new Error(loginProblem(error));
  }
}

/** Takes the answer out of the address. Resolves to the session; throws an error whose message says what to do. */
export async function comeFromKeycloak() {
  const { hash } = location;
  // Nothing of it stays in the history.
  history.replaceState(null, "", page());
  let finished;
  try {
    finished = await finishLogin(hash, { storage: sessionStorage });
  } catch (error) {
    throw new Error(loginProblem(error));
  }
  const session = await logIn(finished);
  localStorage.setItem(ID_TOKEN, finished.idToken);
  history.replaceState(null, "", page() + finished.remember);
  return session;
}

function loginProblem(error) {
  const known = {
    access_denied: t("Die Anmeldung wurde abgebrochen.", "The login was cancelled."),
    insecure: t(
      "Die Anmeldung mit Keycloak geht nur über https. Bitte die Adresse mit https:// öffnen.",
      "The login with Keycloak needs https. Please open the address with https://.",
    ),
    unexpected: t(
      "Die Anmeldung gehört nicht zu diesem Fenster oder ist zu alt. Bitte noch einmal anmelden.",
      "The login doesn't belong to this window, or is too old. Please log in again.",
    ),
  };
  if (error.code) return known[error.code] ?? t(`Keycloak meldet: ${error.message}`, `Keycloak says: ${error.message}`);
  return t("Keycloak ist nicht erreichbar.", "Keycloak can't be reached.");
}

/** Here, and at Keycloak if that is where the login came from; the browser leaves for it then. */
export async function logOut(keycloak) {
  const idToken = localStorage.getItem(ID_TOKEN);
  localStorage.removeItem(ID_TOKEN);
  const reached = await client.logOut().then(() => true, () => false);
  if (reached && idToken && keycloak) location.assign(logoutUrl(keycloak, { redirectUri: page(), idToken }));
}
