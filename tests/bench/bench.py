#!/usr/bin/env python3
"""Measures forkechod against the barest C programs that do the same work. README.md says how.

Exit status: 0 all targets met; 1 one missed, or a wrong reply, or books that do not balance;
64 usage; 70 the measurement could not be done; 71 the report could not be written.
"""

import argparse
import json
import pathlib
import signal
import sys

import client_cost
import first_byte
import held
import machine
import memory
import mp
import network
import rates
import report
import uppercase
from processes import BenchError

# In this order: TIME_WAIT disturbs memory.
SECTIONS = ("memory", "held", "mp", "uppercase", "crr", "rr", "first-byte", "between")
EXTRA_SECTIONS = ("public", "client", "self-memory", "self")


class Parser(argparse.ArgumentParser):
    def error(self, message):
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(64)


def parse_arguments():
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True,
                        help="the build folder: forkechod and ceiling/ are in it")
    parser.add_argument("--rounds", type=int, default=9, help="interleaved rounds of a line (9)")
    parser.add_argument("--slice", type=float, default=1.0,
                        help="seconds of each side in a round (1)")
    parser.add_argument("--held", type=int, default=1000,
                        help="connections held to measure the memory of one (1000)")
    parser.add_argument("--held-many", type=int, metavar="N",
                        help=f"connections held in the section held ({held.DEFAULT_COUNT}, if the "
                        "machine has room for them as it is); kernel.pid_max is raised meanwhile")
    parser.add_argument("--epoll-echo", metavar="'COMMAND {port}'",
                        help="section rr: compare event mode with this echo server too (section "
                        "public: with it alone)")
    parser.add_argument("--epoll-echo-workers", type=int, default=1, metavar="N",
                        help="the threads or processes in which it serves (1)")
    parser.add_argument("--rust-echo-bench", type=pathlib.Path, metavar="PATH",
                        help="section client: compare with this program too")
    parser.add_argument("--tcpkali", type=pathlib.Path, metavar="PATH",
                        help="section client: compare the paced load with this program")
    parser.add_argument("--json", type=pathlib.Path, help="write every figure to this file")
    parser.add_argument("--only", action="append", choices=SECTIONS + EXTRA_SECTIONS,
                        help="one section; repeatable. self and self-memory are the method's own "
                        "check: a ceiling over itself")
    options = parser.parse_args()
    for name in ("rounds", "slice", "held", "epoll_echo_workers"):
        if getattr(options, name) <= 0:
            parser.error(f"--{name.replace('_', '-')} must be above 0")
    if options.held_many is not None and not 3 <= options.held_many <= 1_000_000:
        parser.error("--held-many must be from 3 to 1000000")
    if options.epoll_echo is not None and "{port}" not in options.epoll_echo:
        parser.error("--epoll-echo: the command has no {port}")
    if "public" in (options.only or ()) and options.epoll_echo is None:
        parser.error("--only public: --epoll-echo is needed")
    return options


def rate_section(options, title, comparisons):
    """One table, then the parts of each line's cost."""
    report.show_rate_heading(title, options.rounds, options.slice)
    lines, unmeasured = [], []
    for comparison in comparisons:
        if reason := rates.cannot_be_measured(comparison):
            report.show_rate_not_measured(comparison, reason)
            unmeasured.append({"name": comparison.name, "load": str(comparison.load),
                               "not_measured": reason})
            continue
        lines.append(rates.measure(options.build, comparison, options.rounds, options.slice))
        report.show_rate(lines[-1])
    for line in lines:
        report.show_cost(line)
    return lines + unmeasured


def memory_section(options):
    result = memory.compare(options.build, options.held, options.rounds)
    report.show_memory(result)
    return result


def self_memory_section(options):
    result = memory.compare_ceiling_with_itself(options.build, options.held, options.rounds)
    report.show_memory(result)
    return result


def held_section(options):
    count = options.held_many or held.DEFAULT_COUNT
    rounds = min(options.rounds, held.ROUNDS if count <= held.SEVERAL_ROUNDS_TO else 1)
    result = held.hold_many(options.build, count, rounds, asked_for=options.held_many is not None)
    report.show_held(result)
    return result


def mp_section(options):
    report.show_mp_heading(options.rounds)
    results = []
    for line in mp.lines(options.build):
        results.append(mp.measure(line, options.rounds))
        report.show_mp(results[-1])
    return results


def uppercase_section(options):
    report.show_uppercase_heading(options.rounds)
    lines = []
    for line in uppercase.measure(options.build, options.rounds):
        lines.append(line)
        report.show_uppercase(line)
    if not lines[0]["has_icu"]:
        report.show_no_icu()
    return lines


def crr_section(options):
    return rate_section(options, "connections per second", rates.connection_rates(options.build))


def public_rates(options):
    if options.epoll_echo is None:
        return []
    return rates.public_rates(options.build, options.epoll_echo, options.epoll_echo_workers)


def rr_section(options):
    return rate_section(options, "requests per second on held connections",
                        rates.request_rates(options.build) + public_rates(options))


def public_section(options):
    return rate_section(options, "event mode over a public echo server", public_rates(options))


def first_byte_section(options):
    result = first_byte.measure(options.build, options.rounds, options.slice)
    report.show_first_byte(result)
    return result


def between_section(options):
    return rate_section(options, "one daemon over another",
                        rates.between_daemons(options.build))


def self_section(options):
    return rate_section(options, "a ceiling over itself: what the method calls equal",
                        rates.self_ratios(options.build))


def client_section(options):
    report.show_client_heading(options.rounds, options.slice)
    lines = []
    for comparison in client_cost.comparisons(options.build, options.rust_echo_bench,
                                              options.tcpkali):
        lines.append(client_cost.measure(comparison, options.rounds, options.slice))
        report.show_client(lines[-1])
    calls = client_cost.system_calls(options.build)
    report.show_client_calls(calls)
    return lines + [{"system_calls": calls}]


RUN = {"memory": memory_section, "held": held_section, "mp": mp_section,
       "uppercase": uppercase_section,
       "crr": crr_section, "rr": rr_section, "first-byte": first_byte_section,
       "between": between_section, "public": public_section, "client": client_section,
       "self-memory": self_memory_section, "self": self_section}


def _line_is_good(line):
    return (line.get("met", True) and line.get("balanced", True) and line.get("process_each", True)
            and not line.get("errors"))


def _was_left_out(result):
    return isinstance(result, dict) and not result.get("done", True)


def _lines(results):
    for result in results.values():
        yield from result if isinstance(result, list) else [result]


def all_good(results):
    return all(map(_line_is_good, _lines(results)))


def _not_measured(results):
    return sum("not_measured" in line for line in _lines(results))


def check_programs(options, sections):
    needed = ["ceiling/fork_loop", "ceiling/drive"]
    if "mp" in sections:
        needed.append("mp_speed")
    if "uppercase" in sections:
        needed.append("uppercase_bench")
    if set(sections) & {"memory", "held", "crr", "rr", "between", "public", "client"}:
        needed.append("forkechod")
    if "first-byte" in sections:
        needed += ["forkechod", "forkecho"]
    if "client" in sections:
        needed += ["forkecho", "ceiling/echo_threads", "ceiling/prefork_loop"]
    for name in needed:
        if not (options.build / name).exists():
            raise BenchError(f"{options.build / name} is not there; build it first")
    for program in filter(None, (options.rust_echo_bench, options.tcpkali)):
        if not program.exists():
            raise BenchError(f"{program} is not there")


def measure(options):
    sections = [name for name in SECTIONS + EXTRA_SECTIONS if name in (options.only or SECTIONS)]
    check_programs(options, sections)
    own_network = network.enter_own_namespace()
    about, busy = machine.describe(), machine.busy_share()
    report.show_machine(about, busy, own_network, network.tracks_connections())
    results = {name: RUN[name](options) for name in sections}
    good = all_good(results)
    left_out = [name for name in sections if _was_left_out(results[name])]
    report.show_end(good, left_out, _not_measured(results))
    if options.json:
        report.write_json(options.json, {"schema": 1, "machine": about, "busy_before": busy,
                                         "own_network": own_network,
                                         "sections": results, "good": good})
    return 0 if good else 1


def main():
    # A request to end unwinds like any other error, so that the servers are ended on the way,
    # and the machine's settings put back.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda which, _: sys.exit(128 + which))
    options = parse_arguments()
    options.build = options.build.resolve()
    try:
        return measure(options)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 70
    except OSError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 71
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
