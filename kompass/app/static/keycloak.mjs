// Logging in with Keycloak: the authorization code flow with PKCE (RFC 7636), for a public client.
//
// The answer comes back in the fragment of the address, which no server sees. What has to last until then is in
// `storage`, as sessionStorage: a login that another tab began can't be finished here. The access token goes to the
// caller and is kept nowhere.

const BEGUN = "kompass.login";

/** Milliseconds in which a login has to be finished. */
const PATIENCE = 15 * 60_000;

/** The login can't be finished; `code` is Keycloak's, as `access_denied`, or `unexpected` or `insecure`. */
export class LoginFailedError extends Error {
  constructor(code, description = "") {
    super(description ? `${code}: ${description}` : code);
    Object.assign(this, { name: "LoginFailedError", code });
  }
}

/**
 * Where to send the browser. `keycloak`: of `GET /api/v1/login`; `redirectUri`: this page, without a fragment;
 * `remember`: text that `finishLogin` gives back; `fresh`: ask for the password even of who is logged in there.
 */
export async function beginLogin(keycloak, { redirectUri, storage, remember = "", fresh = false }) {
  // Browsers have it on https and on this machine only.
  if (!crypto.subtle) throw new LoginFailedError("insecure");
  const [state, nonce, verifier] = [randomText(), randomText(), randomText()];
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const { client_id: client, issuer, token_endpoint: tokenEndpoint } = keycloak;
  const begun = { state, nonce, verifier, redirectUri, remember, client, issuer, tokenEndpoint, at: Date.now() };
  storage.setItem(BEGUN, JSON.stringify(begun));
  const url = new URL(keycloak.authorization_endpoint);
  url.search = new URLSearchParams({
    client_id: client,
    response_type: "code",
    response_mode: "fragment",
    redirect_uri: redirectUri,
    scope: "openid",
    state,
    nonce,
    code_challenge: base64Url(new Uint8Array(digest)),
    code_challenge_method: "S256",
    ...(fresh ? { prompt: "login" } : {}),
  });
  return url.href;
}

/** Whether an address's fragment is an answer to a login. */
export function isAnswer(fragment) {
  const answer = new URLSearchParams(fragment.replace(/^#/, ""));
  return answer.has("state") && (answer.has("code") || answer.has("error"));
}

/** Exchanges the answer for tokens: `{token, idToken, remember}`. Throws LoginFailedError, and TypeError without a network. */
export async function finishLogin(fragment, { storage, fetch = (...asked) => globalThis.fetch(...asked) }) {
  const answer = new URLSearchParams(fragment.replace(/^#/, ""));
  const begun = JSON.parse(storage.getItem(BEGUN) ?? "null");
  storage.removeItem(BEGUN);
  const isOurs = begun && begun.state === answer.get("state") && Date.now() - begun.at < PATIENCE;
  // RFC 9207: another server's answer is none to this login.
  if (!isOurs || (answer.has("iss") && answer.get("iss") !== begun.issuer)) throw new LoginFailedError("unexpected");
  if (answer.has("error")) throw new LoginFailedError(answer.get("error"), answer.get("error_description") ?? "");
  const response = await fetch(begun.tokenEndpoint, {
    method: "POST",
    credentials: "omit",
    headers: { accept: "application/json" },
    body: new URLSearchParams({
      grant_type: "authorization_code",
      client_id: begun.client,
      code: answer.get("code"),
      redirect_uri: begun.redirectUri,
      code_verifier: begun.verifier,
    }),
  });
  const tokens = await response.json().catch(() => ({}));
  if (!response.ok) throw new LoginFailedError(tokens.error ?? String(response.status), tokens.error_description ?? "");
  if (claims(tokens.id_token).nonce !== begun.nonce) throw new LoginFailedError("unexpected");
  return { token: tokens.access_token, idToken: tokens.id_token, remember: begun.remember };
}

/** Where to send the browser to end the login at Keycloak, too. */
export function logoutUrl(keycloak, { redirectUri, idToken }) {
  const url = new URL(keycloak.end_session_endpoint);
  url.search = new URLSearchParams({
    client_id: keycloak.client_id,
    post_logout_redirect_uri: redirectUri,
    ...(idToken ? { id_token_hint: idToken } : {}),
  });
  return url.href;
}

/** Its signature doesn't matter here: it comes straight from the issuer. */
function claims(idToken) {
  try {
    return JSON.parse(atob(idToken.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
  } catch {
    return {};
  }
}

const randomText = () => base64Url(crypto.getRandomValues(new Uint8Array(32)));

const base64Url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
