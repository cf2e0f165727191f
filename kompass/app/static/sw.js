// Keeps the page itself available without a server: asks the network first, so that nobody works with an old page,
// and answers from its copy when the network doesn't. Documents are PouchDB's business and pass through.
const COPY = "kompass-page";
const FILES = [
  "./", "app.js", "app.webmanifest", "client.mjs", "conflicts.js", "dom.js", "forms.js", "i18n.js", "icon.svg",
  "keycloak.mjs", "notices.js", "pouchdb.min.js", "replication.mjs", "schema.js", "session.js", "store.js", "style.css",
  "sync.js", "views.js",
];

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open(COPY).then((copy) => copy.addAll(FILES)));
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && request.url.startsWith(self.registration.scope)) {
    event.respondWith(fromNetworkOrCopy(request));
  }
});

async function fromNetworkOrCopy(request) {
  const copy = await caches.open(COPY);
  try {
    const answer = await fetch(request);
    if (answer.ok) await copy.put(request, answer.clone());
    return answer;
  } catch (error) {
    const kept = await copy.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}
