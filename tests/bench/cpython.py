"""What CPython's multiprocessing does in the same round: run as a program, it prints one JSON line."""

import json
import multiprocessing
import sys
import time


def _put_all(queue, count):
    for number in range(count):
        queue.put(number)


def queue(count):
    """Messages from one producer to one consumer, each a process; nanoseconds each."""
    items = multiprocessing.Queue()
    producer = multiprocessing.Process(target=_put_all, args=(items, count))
    begin = time.perf_counter_ns()
    producer.start()
    for _ in range(count):
        items.get()
    spent = time.perf_counter_ns() - begin
    producer.join()
    return spent / count


def _increment(number):
    return number + 1


def apply(count):
    """Pool.apply, one call at a time, two workers; nanoseconds each."""
    with multiprocessing.Pool(2) as pool:
        pool.apply(_increment, (0,))
        begin = time.perf_counter_ns()
        for number in range(count):
            pool.apply(_increment, (number,))
        return (time.perf_counter_ns() - begin) / count


if __name__ == "__main__":
    print(json.dumps({"ns_each": {"queue": queue, "apply": apply}[sys.argv[1]](int(sys.argv[2]))}))
