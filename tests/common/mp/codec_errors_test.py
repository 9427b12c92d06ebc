#!/usr/bin/env python3
"""A type that cannot cross to another process is one readable line of error from the compiler.

Runs the compiler (environment: CXX) on small programs, from the top of the repository. Each bad one
must fail with exactly one `error:` line, which says what to do; each good one must compile, so that
nothing else is at fault."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[3]
INCLUDES = """
#include <functional>
#include <memory>
#include <string_view>
#include "common/mp/connection.h"
#include "common/mp/joinable_queue.h"
#include "common/mp/queue.h"
#include "common/mp/simple_queue.h"
using namespace forkecho;
struct NoCopy { std::unique_ptr<int> own; };
"""

# What is declared, and what is done with it.
BAD = {
    "queue of pointers, made": "mp::Queue<int*> queue;",
    "queue of pointers, used": "mp::Queue<int*> queue; queue.put(nullptr); queue.get(); queue.qsize();",
    "queue of views": "mp::Queue<std::string_view> queue; queue.put(\"x\"); queue.get_nowait();",
    "queue of what has an owner": "mp::Queue<std::unique_ptr<int>> queue; queue.put(nullptr); queue.get();",
    "queue of vectors of pointers": "mp::Queue<std::vector<int*>> queue; queue.put({}); queue.get();",
    "queue of optional functions": "mp::Queue<std::optional<void (*)()>> queue; queue.get();",
    "joinable queue": "mp::JoinableQueue<const char*> queue; queue.put(\"x\"); queue.get(); queue.task_done();",
    "simple queue": "mp::SimpleQueue<std::function<void()>> queue; queue.put({}); queue.get();",
    "connection, unique_ptr": "mp::Pipe pipe; pipe.first.send(std::make_unique<int>(1));",
    "connection, a struct that owns": "mp::Pipe pipe; pipe.first.send(NoCopy{}); pipe.second.recv<NoCopy>();",
    "connection, an array that forgets its length": "mp::Pipe pipe; pipe.first.send(\"text\");",
}
GOOD = {
    "queue": "mp::Queue<int> queue; queue.put(1); queue.get();",
    "queue of strings": "mp::Queue<std::string> queue; queue.put(\"x\"); queue.get_nowait();",
    "queue of composed": "mp::Queue<std::vector<std::optional<std::string>>> queue; queue.put({}); queue.get();",
    "joinable queue": "mp::JoinableQueue<int> queue; queue.put(1); queue.get(); queue.task_done();",
    "simple queue": "mp::SimpleQueue<int> queue; queue.put(1); queue.get();",
    "connection": "mp::Pipe pipe; pipe.first.send(1); pipe.second.recv<int>();",
}


def compile_body(body):
    """The exit code and the messages of a compiler that looks at a program with this body."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "program.cpp")
        source.write_text(f"{INCLUDES}\nint main() {{ {body} }}\n", encoding="ascii")
        done = subprocess.run(
            [os.environ.get("CXX", "c++"), "-std=c++20", "-fsyntax-only", f"-I{TOP}", str(source)],
            capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, "LC_ALL": "C"})
    return done.returncode, done.stderr


class CodecErrors(unittest.TestCase):
    def test_what_cannot_cross_is_one_line(self):
        for name, body in BAD.items():
            with self.subTest(name):
                code, messages = compile_body(body)
                errors = [line for line in messages.splitlines() if "error:" in line]
                self.assertNotEqual(code, 0)
                self.assertEqual(len(errors), 1, messages)
                self.assertIn("this type cannot cross to another process: make it", errors[0])

    def test_what_crosses_compiles(self):
        for name, body in GOOD.items():
            with self.subTest(name):
                self.assertEqual(compile_body(body), (0, ""))


if __name__ == "__main__":
    sys.exit(unittest.main())
