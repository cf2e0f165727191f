// The server under test, and what the scenarios of all clients need of it.

const address = new URL(process.env.KOMPASS_TEST_SERVER ?? "http://admin:geheim@127.0.0.1:5984");

/** The server's address without name and password. */
export const origin = address.origin;

/** The administrator. */
export const admin = { name: address.username, password: address.password };

/** The address with the administrator's name and password, without a slash at its end. */
export const url = address.href.replace(/\/$/, "");

let made = 0;
/** A database name nobody else uses. */
export const freshName = (prefix = "db") => `${prefix}-${process.pid}-${(made += 1)}`;

/** Asks the server without a client's library, as administrator: {status, body}. */
export async function ask(method, path, body) {
  const login = Buffer.from(`${admin.name}:${admin.password}`).toString("base64");
  const response = await fetch(new URL(path, origin), {
    method,
    headers: { authorization: `Basic ${login}`, "content-type": "application/json", accept: "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

/** The name of an empty database. It is deleted after the scenario. */
export async function database(t, { create = true } = {}) {
  const name = freshName();
  t.after(() => ask("DELETE", `/${name}`));
  if (create) {
    await ask("PUT", `/${name}`);
  }
  return name;
}

/** As many documents: order-0000, order-0001 … */
export const orders = (count) =>
  Array.from({ length: count }, (_, each) => ({
    _id: `order-${String(each).padStart(4, "0")}`,
    customer: each % 7,
    sum: each * 10,
  }));
