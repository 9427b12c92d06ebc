"""after_a_kill.cpp with Python's multiprocessing: a line for each object, "hangs" after two seconds."""

import multiprocessing
import os
import signal
import time

fork = multiprocessing.get_context("fork")
PATIENCE_S = 2


def kill_one_who(begin, wait_in=signal.pause):
    """Kills a process that has done `begin`, and then does `wait_in` until it is killed."""
    has_begun, said = fork.Pipe()

    def victim():
        begin()
        said.send(True)
        wait_in()

    process = fork.Process(target=victim)
    process.start()
    has_begun.recv()
    time.sleep(0.2)  # to be within wait_in, which says nothing of itself
    process.kill()
    process.join()


def after_holder_of(lock):
    kill_one_who(lock.acquire)
    lock.acquire()


def condition():
    condition = fork.Condition()
    kill_one_who(condition.acquire, condition.wait)
    with condition:
        condition.notify_all()


def event():
    event = fork.Event()
    kill_one_who(lambda: None, event.wait)
    event.set()


def barrier():
    barrier = fork.Barrier(2)
    kill_one_who(lambda: None, barrier.wait)
    barrier.wait()


def queue():
    queue = fork.Queue()
    kill_one_who(lambda: None, queue.get)
    queue.put(1)
    queue.get()


def joinable_queue():
    queue = fork.JoinableQueue()
    queue.put(1)
    kill_one_who(queue.get)
    queue.join()


def commit_suicide():
    os.kill(os.getpid(), signal.SIGKILL)


def pool():
    with fork.Pool(2) as pool:
        pool.apply(commit_suicide)


def managers_lock():
    with fork.Manager() as manager:
        after_holder_of(manager.Lock())


SCENES = {
    "lock": lambda: after_holder_of(fork.Lock()),
    "rlock": lambda: after_holder_of(fork.RLock()),
    "semaphore": lambda: after_holder_of(fork.Semaphore(1)),
    "condition": condition,
    "event": event,
    "barrier": barrier,
    "queue": queue,
    "joinable_queue": joinable_queue,
    "pool": pool,
    "managers_lock": managers_lock,
}


def start(scene):
    """A process and group of its own, so that whatever hangs in it can be ended."""
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        scene()
        os._exit(0)
    return pid


def outcome(pid, deadline):
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return "goes on" if status == 0 else "fails"
        time.sleep(0.01)
    return "hangs"


def main():
    running = {name: start(scene) for name, scene in SCENES.items()}
    deadline = time.monotonic() + PATIENCE_S
    for name, pid in running.items():
        result = outcome(pid, deadline)
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if result == "hangs":
            os.waitpid(pid, 0)
        print(f"{name}: {result}", flush=True)


if __name__ == "__main__":
    main()
