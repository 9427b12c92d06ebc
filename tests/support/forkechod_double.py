#!/usr/bin/env python3
"""A double of forkechod for the tests of what starts servers: run, status --json and stop, as far as
the client uses them. It answers every connection as the daemon would, one thread for each.

FORKECHOD_DOUBLE says how it misbehaves: dies (run ends at once with 69), silent (never answers on
its control socket), stubborn (does not end when asked to stop), wrong (answers lower case). Of known speed:
delay=SECONDS (each reply comes so late), limit=N (no more than N replies in a second, over all connections).
"""
import json
import os
import signal
import socket
import sys
import threading
import time

behaviour = os.environ.get("FORKECHOD_DOUBLE", "")


def option(name, default=None):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


class Speed:
    """When the reply to a request that came now is due."""

    def __init__(self):
        kind, _, value = behaviour.partition("=")
        self.delay = float(value) if kind == "delay" else 0
        self.each = 1 / float(value) if kind == "limit" else 0
        self.lock, self.free = threading.Lock(), 0

    def wait(self):
        due = time.monotonic() + self.delay
        if self.each:
            with self.lock:
                self.free = due = max(due, self.free) + self.each
        time.sleep(max(0, due - time.monotonic()))


speed = Speed()


def serve(connection):
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := connection.recv(65536):
            speed.wait()
            text = data.decode()
            connection.sendall((text.lower() if behaviour == "wrong" else text.upper()).encode())


def accept(listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def run():
    if "--help" in sys.argv:
        return
    if behaviour == "dies":
        print("cannot listen: the double was told to die", file=sys.stderr)
        sys.exit(69)
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    threading.Thread(target=accept, args=(listener,), daemon=True).start()
    if behaviour == "silent":
        time.sleep(600)
    control = option("--control")
    status = {"pid": os.getpid(), "listen": ["127.0.0.1:%d" % listener.getsockname()[1]],
              "argv": sys.argv[2:]}
    with open(control + ".new", "w") as file:
        json.dump(status, file)
    os.rename(control + ".new", control)
    while True:
        time.sleep(600)


def read_status():
    try:
        with open(option("--control")) as file:
            return json.load(file)
    except OSError:
        sys.exit(69)


def stop():
    pid = read_status()["pid"]
    if behaviour == "stubborn":
        time.sleep(600)
    os.kill(pid, signal.SIGTERM)


if behaviour != "stubborn":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
{"run": run, "status": lambda: print(json.dumps(read_status())), "stop": stop}[sys.argv[1]]()
