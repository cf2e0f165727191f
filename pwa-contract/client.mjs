// What a client needs beside PouchDB, and what the page itself uses: see client.d.mts. The server has the files under /app/.
export * from "../kompass/app/static/client.mjs";
export * from "../kompass/app/static/keycloak.mjs";
export * from "../kompass/app/static/replication.mjs";
