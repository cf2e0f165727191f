"""The engine: what functions find, what they return, and that hostile ones harm nobody else."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from replication.javascript import functions
from replication.javascript.engine import Engine, JavaScriptError, Job, Thrown
from replication.javascript.functions import Emitted

DOCUMENTS = [b'{"_id":"a","n":1}', b'{"_id":"b","n":2}']


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(2, call_seconds=0.5, job_seconds=10)
    yield engine
    engine.close()


async def emitted(engine: Engine, source: str, modules: str = "") -> Any:
    return await functions.map_documents(engine, "db", source, modules, DOCUMENTS)


@pytest.mark.parametrize(
    "source",
    [
        "function(doc) { emit(doc._id, doc.n) }",
        "function (doc) { emit(doc._id, doc.n) };",
        "function named(doc) { emit(doc._id, doc.n) }",
        "function named(doc) { emit(doc._id, doc.n) };\n",
        "(function(doc) { emit(doc._id, doc.n) })",
        "(doc) => emit(doc._id, doc.n)",
        "  // what it does\n function(doc) { emit(doc._id, doc.n) } // the end",
        "/* a */ function(doc) { emit(doc._id, doc.n) } /* z */",
        "function(doc) { emit(doc._id, doc.n) }; var more = 1;",
        "var id = '_id'; (function(doc) { emit(doc[id], doc.n) })",
        "function({_id, n}) { const rest = [n ?? 0].at(-1); emit(_id, rest) }",
        "function(doc) { 'use strict'; emit(doc._id, doc.n) }",
    ],
)
async def test_forms_of_functions(engine: Engine, source: str) -> None:
    assert await emitted(engine, source) == [[Emitted("a", 1)], [Emitted("b", 2)]]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("function(doc {", "SyntaxError: "),
        ("not javascript", "SyntaxError: "),
        ("5", "Expression does not eval to a function. (5)"),
        ("", "Expression does not eval to a function. ()"),
        ("missing.member", "ReferenceError: missing is not defined"),
        ("async function(doc) {}", "Expression does not eval to a function."),
        ("function*(doc) {}", "Expression does not eval to a function."),
        ("async (doc) => {}", "Expression does not eval to a function."),
    ],
)
async def test_what_is_no_function_does_not_compile(engine: Engine, source: str, reason: str) -> None:
    with pytest.raises(JavaScriptError, match=reason.replace("(", r"\(").replace(")", r"\)")) as caught:
        await functions.check(engine, "db", source)
    assert not caught.value.limit


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("sum([1, 2, 3])", 6),
        ("isArray([])", True),
        ("toJSON({a: [1]})", '{"a":[1]}'),
        ("typeof require", "function"),
        ("[undefined, NaN, function() {}]", [None, None, None]),
        ("new Date(0)", "1970-01-01T00:00:00.000Z"),
        ("'\\ud800'", "\ufffd"),
        ("{a: '\\udfff', b: '😀'}", {"a": "\ufffd", "b": "😀"}),
        ("{'\\udfff': ['\\\\ud800', '\\\\\\ud800', '\\u0001']}", {"\ufffd": ["\\ud800", "\\\ufffd", "\x01"]}),
        ("'x'.repeat(10000) + 'y'", "x" * 10000 + "y"),
        ("['process', 'std', 'os', 'fetch', 'setTimeout', 'console'].filter(n => n in globalThis)", []),
    ],
)
async def test_the_world_of_a_function(engine: Engine, expression: str, value: Any) -> None:
    rows = await emitted(engine, f"function(doc) {{ emit(1, {expression}) }}")
    assert rows[0] == [Emitted(1, value)]


async def test_a_map_function_cannot_change_the_document(engine: Engine) -> None:
    rows = await emitted(engine, "function(doc) { doc.n = 5; doc.more = 1; emit(doc.n, doc.more) }")
    assert rows == [[Emitted(1, None)], [Emitted(2, None)]]


async def test_what_is_thrown_concerns_one_document_only(engine: Engine) -> None:
    rows = await emitted(engine, "function(doc) { emit('x'); if (doc.n == 1) throw new TypeError('no') }")
    assert rows == [Thrown("TypeError", "no"), [Emitted("x", None)]]


@pytest.mark.parametrize(
    ("thrown", "error", "reason"),
    [
        ("{forbidden: 'no'}", "forbidden", "no"),
        ("{unauthorized: 'log in'}", "unauthorized", "log in"),
        ("{forbidden: {a: 1}}", "forbidden", '{"a":1}'),
        ("Object.assign(new Error('x'), {forbidden: 'no'})", "forbidden", "no"),
        ("new RangeError('r')", "RangeError", "r"),
        ("'text'", "unknown_error", "text"),
        ("['error', 'name', 'why']", "name", "why"),
        ("{a: 1}", "unknown_error", '{"a":1}'),
        ("{error: 'name', reason: 'why'}", "name", "why"),
        ("null", "unknown_error", "null"),
        ("undefined", "unknown_error", "null"),
        ("5", "unknown_error", "5"),
        ("Symbol('s')", "unknown_error", "null"),
        ("{get forbidden() { throw 1 }}", "unknown_error", "The function threw what can't be shown."),
        ("new Proxy({}, {get() { throw 1 }})", "unknown_error", "The function threw what can't be shown."),
    ],
)
async def test_odd_things_thrown(engine: Engine, thrown: str, error: str, reason: str) -> None:
    assert await emitted(engine, f"function(doc) {{ throw {thrown} }}") == [Thrown(error, reason)] * 2


async def test_modules_are_found_from_the_root_and_beside_the_caller(engine: Engine) -> None:
    modules = {
        "lib": {
            "a": "exports.id = module.id; exports.b = require('./b'); exports.top = require('../top')",
            "b": "module.exports = 'B' + require('lib/deep/c').name",
            "deep": {"c": "exports.name = require('../../top')"},
        },
        "top": "module.exports = 'T'",
    }
    source = "function(doc) { var a = require('lib/a'); emit(a.id, [a.b, a.top, a === require('lib/a')]) }"
    rows = await emitted(engine, source, json.dumps(modules))
    assert rows[0] == [Emitted("lib/a", ["BT", "T", True])]


async def test_modules_that_need_each_other(engine: Engine) -> None:
    modules = {"a": "exports.x = 1; exports.y = require('b').y", "b": "exports.y = require('a').x + 1"}
    rows = await emitted(engine, "function(doc) { emit(require('a').y) }", json.dumps(modules))
    assert rows[0] == [Emitted(2, None)]


@pytest.mark.parametrize("name", ["none", "lib", "lib/none", "__proto__", "constructor", "../../x", ""])
async def test_a_module_that_is_not_there(engine: Engine, name: str) -> None:
    (first, _) = await emitted(engine, f"function(doc) {{ require('{name}') }}", '{"lib":{}}')
    assert isinstance(first, Thrown)
    assert first.error == "invalid_require_path"


# -- hostile functions -------------------------------------------------------------------------

HOSTILE = {
    "endless loop": "while (true);",
    "a loop that catches": "try { for (;;); } catch (e) {} finally { for (;;); }",
    "a regular expression": "/(a+)+$/.test('a'.repeat(60) + 'b')",
    "memory in pieces": "const a = []; for (;;) a.push('x'.repeat(1000) + a.length)",
    "memory at once": "new Array(1e9).fill(0)",
    "rows without end": "for (;;) emit(1, 'x')",
    "a huge row": "emit('x'.repeat(4e7))",
    "what can't be interrupted": "new Array(1 << 30).join('x')",
    "an error that loops": "throw new Proxy({}, {get() { for (;;); }})",
    "a value that loops": "emit({toJSON() { for (;;); }})",
    "a key that loops": "emit(new Proxy({}, {ownKeys() { for (;;); }}))",
    "spoilt results": "Object.prototype.toJSON = () => 7; emit(1)",
    "results of another shape": "Array.prototype.toJSON = () => ({ok: 1}); emit(1)",
}


@pytest.mark.slow
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_functions_are_stopped(engine: Engine, body: str) -> None:
    with pytest.raises(JavaScriptError) as caught:
        await emitted(engine, f"function(doc) {{ {body} }}")
    assert caught.value.limit
    assert await emitted(engine, "function(doc) { emit(doc.n) }") == [[Emitted(1, None)], [Emitted(2, None)]]


HARMLESS = {
    "recursion": "(function f() { f() })()",
    "a text without end": "let s = 'a'; for (;;) s += s",
    "a circle": "const a = []; a.push(a); emit(a)",
    "deep nesting": "let a = 1; for (let i = 0; i < 1e5; i++) a = [a]; emit(a)",
    "a way out": "emit(this.constructor.constructor('return process')())",
    "another way out": "emit((function(){}).constructor('return import.meta')())",
    "the harness": "$harness.step(0)",
    "an integer of any size": "emit(2n ** 4000n)",
}


@pytest.mark.parametrize("body", HARMLESS.values(), ids=HARMLESS)
async def test_what_only_fails(engine: Engine, body: str) -> None:
    assert all(isinstance(one, Thrown) for one in await emitted(engine, f"function(doc) {{ {body} }}"))


async def test_the_host_cannot_be_imported(engine: Engine) -> None:
    rows = await emitted(engine, "function(doc) { import('os').then(m => emit(m)); emit(1) }")
    assert rows[0] == [Emitted(1, None)]


async def test_one_function_does_not_change_the_world_of_another(engine: Engine) -> None:
    pollute = """function(doc) {
        Object.prototype.polluted = Array.prototype.polluted = 1;
        Array.prototype.push = JSON.stringify = JSON.parse = Object.keys = null;
        emit = sum = toJSON = require = null; globalThis.left = 1;
        Object.defineProperty(Array.prototype, '0', {set() {}});
    }"""
    source = "function(doc) { emit([typeof left, [].polluted, sum([1]), toJSON([1])], Object.keys(doc)) }"
    for _ in range(5):
        await asyncio.gather(*(emitted(engine, pollute) for _ in range(2)), return_exceptions=True)
        (row,) = (await emitted(engine, source))[0]
        assert row == Emitted(["undefined", None, 1, "[1]"], ["_id", "n"])


async def test_a_document_cannot_reach_the_prototypes(engine: Engine) -> None:
    text = b'{"_id":"a","__proto__":{"x":1},"constructor":{"prototype":{"x":1}}}'
    source = "function(doc) { emit(({}).x === undefined, Object.keys(doc)) }"
    rows = await functions.map_documents(engine, "db", source, "", [text])
    assert rows == [[Emitted(True, ["_id", "__proto__", "constructor"])]]


async def test_others_are_served_while_one_hangs(engine: Engine) -> None:
    hanging = asyncio.create_task(emitted(engine, "function(doc) { for (;;); }"))
    await asyncio.sleep(0.05)
    started = time.perf_counter()
    for _ in range(10):
        await emitted(engine, "function(doc) { emit(1) }")
    assert not hanging.done()
    assert time.perf_counter() - started < 0.4
    with pytest.raises(JavaScriptError, match=r"ran for more than 0\.5 seconds"):
        await hanging


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
async def test_a_process_that_is_stopped_or_killed_is_replaced() -> None:
    others = _children()
    engine = Engine(1, job_seconds=0.5)
    job = Job("db", "map", "function(doc) { emit(1) }", DOCUMENTS)
    await engine.run(job)
    (pid,) = _children() - others
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(JavaScriptError, match="was ended"):
        await engine.run(job)
    assert await engine.run(job) == [[[1, None]]] * 2
    (pid,) = _children() - others
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)], timeout=0.2)
    assert await engine.run(job) == [[[1, None]]] * 2
    engine.close()
    assert _children() == others


async def test_closing_ends_what_runs() -> None:
    others = _children()
    engine = Engine(2, call_seconds=30)
    job = Job("db", "map", "function(doc) { for (;;); }", DOCUMENTS)
    running = asyncio.create_task(engine.run(job))
    await asyncio.sleep(0.2)
    assert _children() - others
    started = time.perf_counter()
    engine.close()
    assert time.perf_counter() - started < 2
    with pytest.raises(JavaScriptError):
        await running
    assert _children() == others
    with pytest.raises(RuntimeError):
        await engine.run(job)


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


async def test_an_engine_that_is_dropped_ends_its_processes_and_waits_for_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The collector may run amid the beginning of a thread: no thread can be joined then."""
    engine = Engine(1)
    await emitted(engine, "(doc) => emit(1)")
    (worker,) = engine._workers
    joined: list[str] = []
    monkeypatch.setattr(threading.Thread, "join", lambda self, timeout=None: joined.append(self.name))
    del engine
    gc.collect()
    assert (worker.is_alive(), joined) == (False, [])


async def test_a_process_serves_many_jobs_however_large_the_server_is() -> None:
    others = _children()
    ballast = bytearray(100 << 20)
    ballast[::4096] = bytes(len(ballast[::4096]))
    engine = Engine(1)
    job = Job("db", "map", "function(doc) { emit(1) }", DOCUMENTS)
    await engine.run(job)
    started = _children() - others
    for _ in range(5):
        await engine.run(job)
    assert _children() - others == started
    assert len(started) == 1
    engine.close()


async def test_a_job_takes_a_batch_of_documents(engine: Engine) -> None:
    documents = [b'{"_id":"%d"}' % n for n in range(5000)]
    rows = await functions.map_documents(engine, "db", "function(doc) { emit(doc._id) }", "", documents)
    assert rows == [[Emitted(str(n), None)] for n in range(5000)]


@pytest.mark.slow
@pytest.mark.parametrize("view", [False, True])
async def test_every_document_is_judged_though_it_takes_many_jobs(engine: Engine, view: bool) -> None:
    documents = [b'{"_id":"%d","n":%d}' % (n, n) for n in range(16)]
    wait = "const until = Date.now() + 100; while (Date.now() < until);"
    source = f"function(doc) {{ {wait} if (doc.n % 2) emit(1); return doc.n % 2 }}"
    passing = await functions.filter_documents(engine, "db", source, "", b"{}", documents, view=view)
    assert passing == [bool(n % 2) for n in range(16)]
    source = f"function(doc) {{ {wait} if (doc.n % 2) throw {{forbidden: doc._id}} }}"
    pairs = [(text, b"null") for text in documents]
    verdicts = await functions.validate(engine, "db", source, "", pairs, b"{}", b"{}")
    assert verdicts == [Thrown("forbidden", str(n)) if n % 2 else None for n in range(16)]


@pytest.mark.parametrize("text", ["x" * 1_000_000, [[], {}] * 10_000], ids=["large", "dense"])
async def test_a_batch_may_be_larger_than_what_the_engine_holds_at_a_time(engine: Engine, text: Any) -> None:
    document = json.dumps({"_id": "a", "text": text}).encode()
    pairs = [(document, document)] * 40
    assert await functions.validate(engine, "db", "function() {}", "", pairs, b"{}", b"{}") == [None] * 40
    passing = await functions.filter_documents(
        engine, "db", "function() { return 1 }", "", b"{}", [document] * 40
    )
    assert passing == [True] * 40


@pytest.mark.slow
async def test_the_largest_document_can_be_mapped() -> None:
    engine = Engine(1)
    document = b'{"_id":"a","dense":[' + b"[]," * 2_660_000 + b"0]}"
    rows = await functions.map_documents(engine, "db", "function(doc) { emit(doc._id) }", "", [document])
    assert rows == [[Emitted("a", None)]]
    engine.close()


@pytest.mark.parametrize(
    "spoil",
    [
        "Array.prototype.toJSON = () => [0, null]",
        "Object.prototype.toJSON = () => ({value: null})",
        "Array.prototype[Symbol.iterator] = null",
        "JSON.stringify = () => '{\"value\":null}'",
    ],
)
async def test_a_refusal_stands_whatever_the_function_leaves_behind(engine: Engine, spoil: str) -> None:
    source = f"function() {{ {spoil}; throw {{forbidden: 'no'}} }}"
    (verdict,) = await functions.validate(engine, "db", source, "", [(b"{}", b"null")], b"{}", b"{}")
    assert verdict is not None


@pytest.mark.parametrize("source", ["() => Promise.reject(1)", "() => Promise.resolve(false)"])
async def test_who_judges_later_has_not_judged(engine: Engine, source: str) -> None:
    expected = [Thrown("Error", "The function must decide at once, not later.")]
    assert await functions.validate(engine, "db", source, "", [(b"{}", b"null")], b"{}", b"{}") == expected
    assert await functions.filter_documents(engine, "db", source, "", b"{}", [b"{}"]) == expected


@pytest.mark.slow
async def test_no_database_makes_the_others_wait() -> None:
    engine = Engine(2, call_seconds=1)
    hanging = [Job("bad", "map", f"function() {{ for (;;); {n} }}", DOCUMENTS) for n in range(10)]
    tasks = [asyncio.create_task(engine.run(job)) for job in hanging]
    await asyncio.sleep(0.3)
    started = time.perf_counter()
    for owner in ("good", "fine"):
        for _ in range(5):
            await engine.run(Job(owner, "map", "function(doc) { emit(1) }", DOCUMENTS))
    assert time.perf_counter() - started < 1
    assert sum(task.done() for task in tasks) <= 2
    tasks[-1].cancel()
    for task in tasks:
        with pytest.raises((JavaScriptError, asyncio.CancelledError)):
            await task
    engine.close()


async def test_a_map_job_that_makes_a_lot_ends_early(engine: Engine) -> None:
    documents = [b'{"_id":"%d"}' % n for n in range(10)]
    rows = await functions.map_documents(engine, "db", "function() { emit('x'.repeat(2e6)) }", "", documents)
    assert len(rows) == 3
    (row,) = await functions.map_documents(
        engine, "db", "function() { emit('x'.repeat(2e7)) }", "", documents
    )
    assert isinstance(row, list)
    assert len(row[0].key) == 2e7


async def test_what_functions_log_reaches_the_log(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "replication.javascript"):
        await emitted(engine, "function(doc) { log('hello'); log({a: doc._id}); log('x'.repeat(1e6)) }")
    assert caplog.messages[:2] == ["log: hello", 'log: {"a":"a"}']
    assert all(len(message) < 5000 for message in caplog.messages)
