// The world of a design document's function: CouchDB's globals, and a harness that calls it.
//
// Evaluated once in each fresh engine. Everything the harness needs of the language is taken before the
// function is there, for that may change what it likes. `load` and `step` are the only ways in; both
// return JSON text, as `stringify` makes it: the engine's Python side can't read a text that was put
// together from long ones. What the harness itself says is in objects without a prototype, so that no
// `toJSON` which a function left there has a say in it.
(function (global) {
  "use strict";
  const { parse, stringify } = JSON;
  const { freeze, getPrototypeOf, keys } = Object;
  const { isArray } = Array;
  const text = String;
  const evaluate = global.eval;
  const NativeError = Error;
  const NativePromise = Promise;
  const OutOfBounds = InternalError;
  const plain = getPrototypeOf(function () {});
  const LONGEST_MESSAGE = 4000;
  const MOST_LOGGED = 100;

  let rows = [];
  const logged = { __proto__: null };
  let messageCount = 0;
  let call = null;

  // -- what functions see --------------------------------------------------------------------

  function toJSON(value) {
    const written = stringify(value);
    return written === undefined ? "null" : written;
  }

  const globals = {
    emit(key, value) {
      rows.push([key, value]);
    },
    sum(values) {
      let total = 0;
      for (const index in values) total += values[index];
      return total;
    },
    log(message) {
      if (messageCount < MOST_LOGGED) {
        logged[messageCount++] = clip(typeof message === "string" ? message : toJSON(message));
      }
    },
    isArray,
    toJSON,
  };
  for (const name of keys(globals)) define(name, globals[name]);

  function define(name, value) {
    Object.defineProperty(global, name, { value, writable: true, configurable: true });
  }

  // -- errors ----------------------------------------------------------------------------------

  function clip(message) {
    return message.length > LONGEST_MESSAGE ? message.slice(0, LONGEST_MESSAGE) + "…" : message;
  }

  // Running out of time can't be caught in JavaScript; running out of memory can, and must not be.
  function passOn(thrown) {
    if (thrown instanceof OutOfBounds && thrown.message === "out of memory") throw thrown;
  }

  function described(thrown) {
    passOn(thrown);
    try {
      if (typeof thrown === "string") return { error: "unknown_error", reason: clip(thrown) };
      if (isArray(thrown)) return { error: clip(text(thrown[1])), reason: clip(text(thrown[2])) };
      if (typeof thrown === "object" && thrown !== null) {
        for (const kind of ["forbidden", "unauthorized"]) {
          if (thrown[kind] !== undefined) {
            const reason = thrown[kind];
            return { error: kind, reason: clip(typeof reason === "string" ? reason : toJSON(reason)) };
          }
        }
        if (typeof thrown.error === "string") {
          return { error: clip(thrown.error), reason: clip(text(thrown.reason)) };
        }
        if (thrown instanceof NativeError) {
          return { error: clip(text(thrown.name)), reason: clip(text(thrown.message)) };
        }
      }
      return { error: "unknown_error", reason: clip(toJSON(thrown)) };
    } catch (again) {
      passOn(again);
      return { error: "unknown_error", reason: "The function threw what can't be shown." };
    }
  }

  // -- functions and modules -------------------------------------------------------------------

  function compiled(source) {
    let made;
    try {
      // An assignment takes what CouchDB takes: anonymous and named functions, arrows, comments around
      // them, a semicolon and even statements behind them.
      made = evaluate("globalThis.$function = " + source);
    } catch (wrong) {
      passOn(wrong);
      made = evaluate(source);
    }
    if (typeof made !== "function") made = global.$function;
    delete global.$function;
    // Generators and asynchronous functions return before they have done anything; CouchDB takes none.
    if (typeof made !== "function" || getPrototypeOf(made) !== plain) {
      throw new NativeError("Expression does not eval to a function.");
    }
    return made;
  }

  // CommonJS: `require("lib/name")` from the design document's root, `./name` beside the caller.
  function requirer(root, loaded, folder) {
    return function require(name) {
      const path = /^\.\.?\//.test(name) ? [...folder] : [];
      for (const part of text(name).split("/")) {
        if (part === "..") path.pop();
        else if (part !== "." && part !== "") path.push(part);
      }
      const id = path.join("/");
      let module = loaded.get(id);
      if (module === undefined) {
        let found = root;
        for (const part of path) {
          found = typeof found === "object" && found !== null && Object.hasOwn(found, part) ? found[part] : undefined;
        }
        if (typeof found !== "string") {
          throw ["error", "invalid_require_path", `Object has no property "${name}". `];
        }
        module = { id, exports: {} };
        loaded.set(id, module);
        const body = evaluate("(function (module, exports, require) { " + found + "\n })");
        body.call(module.exports, module, module.exports, requirer(root, loaded, path.slice(0, -1)));
      }
      return module.exports;
    };
  }

  function sealed(value) {
    if (typeof value === "object" && value !== null) {
      if (isArray(value)) {
        for (let index = 0; index < value.length; index++) sealed(value[index]);
      } else {
        for (const key of keys(value)) sealed(value[key]);
      }
      freeze(value);
    }
    return value;
  }

  // -- kinds of calls ----------------------------------------------------------------------------
  //
  // Each takes the function, `this` for it and what is the same for all items, and returns the function that
  // `step` calls with an item: a document, or whatever one call needs.

  function decided(result) {
    if (result instanceof NativePromise) throw new NativeError("The function must decide at once, not later.");
    return result;
  }

  const KINDS = {
    compile() {
      return null;
    },
    map(made, self) {
      return (doc) => {
        rows = [];
        made.call(self, sealed(doc));
        return rows;
      };
    },
    reduce(made, self) {
      return ([entries, values]) => made.call(self, entries, values, entries === null);
    },
    filter(made, self, { req }) {
      return (doc) => Boolean(decided(made.call(self, doc, req)));
    },
    view_filter(made, self) {
      return (doc) => {
        rows = [];
        made.call(self, sealed(doc));
        return rows.length > 0;
      };
    },
    validate(made, self, { user, security }) {
      return ([changed, stored]) => {
        decided(made.call(self, changed, stored, user, security));
        return null;
      };
    },
    update(made, self) {
      return ({ doc, req }) => {
        const [document, answer] = made.call(self, doc, req);
        return [document, answer];
      };
    },
  };

  function load(kind, source, modules, shared) {
    const root = modules === "" ? {} : parse(modules);
    define("require", requirer(root, new Map(), []));
    let made;
    try {
      made = compiled(source);
    } catch (wrong) {
      const { error, reason } = described(wrong);
      const message = wrong instanceof NativeError && error !== "Error" ? `${error}: ${reason}` : reason;
      return stringify({ __proto__: null, failed: clip(`${message} (${source})`) });
    }
    call = KINDS[kind](made, kind === "map" || kind === "view_filter" ? {} : root, parse(shared));
    return "{}";
  }

  function step(item) {
    try {
      return stringify({ __proto__: null, value: call(parse(item)) });
    } catch (thrown) {
      const { error, reason } = described(thrown);
      return stringify({ __proto__: null, error, reason });
    }
  }

  function messages() {
    return stringify(logged);
  }

  define("$harness", { load, step, messages });
})(globalThis);
