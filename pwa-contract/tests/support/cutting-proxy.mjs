// A TCP proxy between PouchDB and the server that can be a bad network.

import net from "node:net";

/**
 * Starts a proxy to `target` (a URL). While `budget` is a function, each connection may carry as many
 * bytes as it returns (for the connection), both ways together, and is cut then; 0 refuses it.
 */
export async function cuttingProxy(t, target) {
  const { hostname, port } = new URL(target);
  const open = new Set();
  const proxy = {
    budget: null,
    cuts: 0,
    url: "",
    /** Cuts whatever is open. */
    cutAll() {
      for (const socket of open) {
        socket.resetAndDestroy();
      }
    },
  };

  const listener = net.createServer((client) => {
    const upstream = net.connect(Number(port), hostname);
    let carried = 0;
    let allowed = null;
    for (const [from, to] of [[client, upstream], [upstream, client]]) {
      open.add(from);
      from.setNoDelay(true);
      from.on("error", () => {});
      from.on("close", () => {
        open.delete(from);
        to.destroy();
      });
      from.on("data", (chunk) => {
        if (proxy.budget !== null && allowed === null) {
          allowed = carried + proxy.budget();
        }
        carried += chunk.length;
        if (proxy.budget !== null && carried > allowed) {
          proxy.cuts += 1;
          // Half of what came goes through: the break is inside a message.
          const part = chunk.subarray(0, chunk.length >> 1);
          to.write(part, () => {
            client.resetAndDestroy();
            upstream.resetAndDestroy();
          });
          from.pause();
          return;
        }
        if (!to.write(chunk)) {
          from.pause();
          to.once("drain", () => from.resume());
        }
      });
      from.on("end", () => to.end());
    }
  });
  await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    proxy.cutAll();
    listener.close();
  });
  const url = new URL(target);
  url.port = listener.address().port;
  proxy.url = url.href;
  return proxy;
}
