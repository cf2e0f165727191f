// The world of a design document's function: CouchDB's globals, and a harness that calls it.
//
// Evaluated once in each fresh engine. Everything the harness needs of the language is taken before the
// function is there, for that may change what it likes. `load` and `step` are the only ways in; both
// return JSON text, as `stringify` makes it: the engine's Python side can't read a text that was put
// together from long ones.
(function (global) {
  "use strict";
  const { parse, stringify } = JSON;
  const { freeze, keys } = Object;
  const { isArray } = Array;
  const text = String;
  const evaluate = global.eval;
  const NativeError = Error;
  const OutOfBounds = InternalError;
  const LONGEST_MESSAGE = 4000;
  const MOST_LOGGED = 100;

  let rows = [];
  let logged = [];
  let items = [];
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
      if (logged.length < MOST_LOGGED) {
        logged.push(clip(typeof message === "string" ? message : toJSON(message)));
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

  function wellFormed(key, value) {
    return typeof value === "string" ? value.toWellFormed() : value;
  }

  // A lone surrogate is escaped by `stringify`, but is no text that could be stored.
  function written(value) {
    const result = toJSON(value);
    return result.includes("\\ud") ? toJSON(parse(result, wellFormed)) : result;
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
    if (typeof made !== "function") throw new NativeError("Expression does not eval to a function.");
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
      for (const key of keys(value)) sealed(value[key]);
      freeze(value);
    }
    return value;
  }

  // -- kinds of calls ----------------------------------------------------------------------------
  //
  // Each takes the function, `this` for it and the job's body, and returns the function that `step` calls with
  // an item. Items are documents, or whatever one call needs.

  const KINDS = {
    compile() {
      items = [];
    },
    map(made, self, documents) {
      items = documents;
      return (doc) => {
        rows = [];
        made.call(self, sealed(doc));
        return rows;
      };
    },
    reduce(made, self, groups) {
      items = groups;
      return ([entries, values]) => made.call(self, entries, values, entries === null);
    },
    filter(made, self, body) {
      items = body.docs;
      return (doc) => Boolean(made.call(self, doc, body.req));
    },
    view_filter(made, self, body) {
      items = body.docs;
      return (doc) => {
        rows = [];
        made.call(self, sealed(doc));
        return rows.length > 0;
      };
    },
    validate(made, self, body) {
      items = body.docs;
      return ([changed, stored]) => {
        made.call(self, changed, stored, body.user, body.security);
        return null;
      };
    },
    update(made, self, body) {
      items = [body];
      return ({ doc, req }) => {
        const [document, answer] = made.call(self, doc, req);
        return [document, answer];
      };
    },
  };

  function load(kind, source, modules, body) {
    const root = modules === "" ? {} : parse(modules);
    define("require", requirer(root, new Map(), []));
    let made;
    try {
      made = compiled(source);
    } catch (wrong) {
      const { error, reason } = described(wrong);
      const message = wrong instanceof NativeError && error !== "Error" ? `${error}: ${reason}` : reason;
      return written({ failed: clip(`${message} (${source})`) });
    }
    call = KINDS[kind](made, kind === "map" || kind === "view_filter" ? {} : root, parse(body));
    return written({ count: items.length });
  }

  function step(index) {
    try {
      return written([0, call(items[index])]);
    } catch (thrown) {
      return written([1, described(thrown)]);
    }
  }

  function messages() {
    return written(logged);
  }

  define("$harness", { load, step, messages });
})(globalThis);
