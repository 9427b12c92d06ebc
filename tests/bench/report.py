"""What the benchmark prints, and the JSON file: all of the formatting, none of the measuring."""

import dataclasses
import json

import stats


def _verdict(met):
    return "PASS" if met else "short"


def _bytes(value):
    return f"{value / 1024:,.1f} KiB"


def show(text=""):
    print(text, flush=True)


def show_machine(machine, busy, own_network, tracked):
    show(f"{machine['processor']}, {machine['processors']} processors, Linux {machine['kernel']}, "
         f"{machine['memory_bytes'] / 2**30:.0f} GiB, {machine['date']}")
    if busy > 0.05:
        show(f"WARNING: {busy:.0%} of the processors is in use by something else; "
             "the figures below are not to be relied on")
    if not own_network:
        show("not in a network namespace of its own (that takes root)")
    if tracked:
        show("WARNING: the firewall tracks every connection here; "
             "that costs both sides alike and hides differences")


def show_rate_heading(title, rounds, seconds):
    show()
    show(f"{title} (medians of {rounds} interleaved rounds, {seconds:g} s for each side)")
    show(f"  {'design':<25}{'load':<20}{'ours/s':>10}{'ceiling/s':>11}{'ratio':>8}"
         f"  {'range':<15}{'target':<18}verdict")


def show_rate(line):
    rates, ratio, target = line["rates"], line["ratio"], line["target"]
    known = target != stats.Target()
    spread = f"{ratio.lowest:.3f}-{ratio.highest:.3f}"
    show(f"  {line['name']:<25}{line['load']:<20}{rates['ours'].median:>10,.0f}"
         f"{rates['ceiling'].median:>11,.0f}{ratio.median:>8.3f}  {spread:<15}"
         f"{str(target) if known else '-':<18}{_verdict(line['met']) if known else '-'}")
    if line["errors"]:
        show(f"  {'':<25}{line['errors']} ERRORS: connections that failed or wrong replies")
    if line["lost"]:
        show(f"  {'':<25}{line['lost']} packets were sent again: something drops them, "
             "and a slice stood still")
    if not line["balanced"]:
        show(f"  {'':<25}BOOKS: the daemon's count of accepted connections is not the client's")


def show_rate_not_measured(comparison, reason):
    show(f"  {comparison.name:<25}{str(comparison.load):<20}{reason}")


def show_cost(line):
    """The parts of one line's cost: ours, the ceiling's and what is between them."""
    show()
    show(f"  parts of the cost per {line['unit']}: {line['name']}, {line['load']}")
    show(f"    {'':<32}{'ours':>10}{'ceiling':>10}{'more':>10}")
    ours, ceiling = line["cost"]["ours"], line["cost"]["ceiling"]
    for key in ours:
        more = ours[key] - ceiling[key]
        show(f"    {key:<32}{ours[key]:>10.2f}{ceiling[key]:>10.2f}{more:>10.2f}")


def show_memory(result):
    ratio = result["ratio"]
    show()
    show(f"memory per held connection (fork mode, {result['held']:,} held, "
         f"medians of {len(ratio.samples)} interleaved rounds)")
    show(f"  {'':<16}{'ours':>14}{'ceiling':>14}{'ratio':>8}")
    ours, ceiling = result["parts"]["ours"], result["parts"]["ceiling"]
    for key in ours:
        share = f"{ours[key] / ceiling[key]:>8.3f}" if ceiling[key] > 0 else f"{'-':>8}"
        show(f"  {key:<16}{_bytes(ours[key]):>14}{_bytes(ceiling[key]):>14}{share}")
    total = result["sum"]
    show(f"  {'sum':<16}{_bytes(total['ours'].median):>14}{_bytes(total['ceiling'].median):>14}"
         f"{ratio.median:>8.3f}  {ratio.lowest:.3f}-{ratio.highest:.3f}  "
         f"{result['target']}  {_verdict(result['met'])}")
    if result["disturbed"]:
        show(f"  WARNING: other programs started or ended during {result['disturbed']} samples; "
             "their memory is in them")
    if not result["process_each"]:
        show("  NOT each connection had a process of its own")


_HELD_ROWS = (  # a figure of held.py, what it is called, its unit
    ("opening_s", "opened, all of them, s", ",.1f"),
    ("opened_first_s", "opened/s, first third (but its first 3,000)", ",.0f"),
    ("opened_last_s", "opened/s, last third", ",.0f"),
    ("accept_first_us", "acceptor's CPU, us: each of the first third", ",.1f"),
    ("accept_last_us", "  each of the last third", ",.1f"),
    ("accept_growth", "  growth", ".2f"),
    ("machine_first_us", "all CPU, us: each of the first third", ",.0f"),
    ("machine_last_us", "  each of the last third", ",.0f"),
    ("asked_s", "asked once more, and all answered, s", ",.2f"),
    ("bytes", "memory, MiB", "MiB"),
    ("each", "  each, KiB", ",.1f"),
    ("own_bytes", "acceptor's and supervisor's own, B each", ",.0f"),
    ("own_resident_bytes", "  with the line of status, shared, B each", ",.0f"),
    ("status_first_ms", "status, ms, while a thousand are held", ",.1f"),
    ("status_ms", "  while all are", ",.1f"),
    ("reap_few_us", "acceptor's CPU, us: an end among a thousand", ",.1f"),
    ("reap_many_us", "  an end of a thousand among all", ",.1f"),
    ("reap_growth", "  growth", ".2f"),
    ("ended_s", "all but two thousand closed at once, s", ",.2f"),
    ("reap_most_us", "  acceptor's CPU, us, for each", ",.1f"),
    ("ended_each_us", "  all CPU, us, for each", ",.0f"),
    ("steal_share", "taken by the host while opening", ".1%"),
)


def _held_cell(spread, form):
    if spread is None:
        return "-"
    if form == "MiB":
        form, scale = ",.0f", 2**20
    else:
        scale = 1
    low, middle, high = (format(value / scale, form)
                         for value in (spread.lowest, spread.median, spread.highest))
    return middle if len(spread.samples) == 1 else f"{middle} ({low}-{high})"


def _held_figures(figures, count):
    each = figures["bytes"]
    scaled = [value / count / 1024 for value in each.samples]
    return {**figures, "each": stats.Spread.of(scaled)}


def _held_target(target, form):
    if target is None:
        return "-"
    return f"<= {target.highest / 2**20:,.0f}" if form == "MiB" else str(target)


def show_held(result):
    show()
    count = result["held"]
    if not result["done"]:
        show(f"{count:,} connections held in fork mode: NOT DONE, {result['reason']}")
        return
    show(f"{count:,} connections held in fork mode, each answered when it was opened and once more "
         f"when all were (medians of {result['rounds']} interleaved rounds)")
    show(f"  {'':<48}{'ours':<26}{'ceiling':<26}{'target':<12}verdict")
    sides = [_held_figures(result["figures"][key], count) for key in ("ours", "ceiling")]
    for key, name, form in _HELD_ROWS:
        ours, ceiling = (_held_cell(side.get(key), form) for side in sides)
        verdict = _verdict(result["verdicts"][key]) if key in result["verdicts"] else "-"
        target = _held_target(result["targets"].get(key), form)
        show(f"  {name:<48}{ours:<26}{ceiling:<26}{target:<12}{verdict}")
    show(f"  a process for each: {_verdict(result['process_each'])}")


_FIRST_BYTE_ROWS = (
    ("wait_p50_us", "from due to the reply, p50, us", ",.0f"),
    ("wait_p99_us", "from due to the reply, p99, us", ",.0f"),
    ("connect_p99_us", "  the connect, p99, us", ",.0f"),
    ("first_byte_p50_us", "  from the send to the first byte, p50, us", ",.0f"),
    ("first_byte_p99_us", "  from the send to the first byte, p99, us", ",.0f"),
    ("lag_p99_us", "  of it the load client late, p99, us", ",.0f"),
    ("idle_share", "processors idle", ".0%"),
    ("steal_share", "taken by the host", ".1%"),
)


def show_first_byte(result):
    ratio, parts = result["ratio"], result["first_byte_ratio"]
    show()
    show(f"pool-single-use at half its capacity: {result['rate']:,} of {result['capacity']:,.0f} "
         f"connections/s (medians of {result['rounds']} interleaved rounds)")
    show(f"  {'':<44}{'pool-single-use':<26}pool-shared")
    single, shared = (result["figures"][key] for key in ("single", "shared"))
    for key, name, form in _FIRST_BYTE_ROWS:
        show(f"  {name:<44}{_held_cell(single[key], form):<26}{_held_cell(shared[key], form)}")
    show(f"  p99 from due to the reply, over pool-shared's: {ratio.median:.3f}  "
         f"{ratio.lowest:.3f}-{ratio.highest:.3f}  {result['target']}  {_verdict(result['met'])}")
    show(f"  p99 from the send to the first byte, likewise: {parts.median:.3f}  "
         f"{parts.lowest:.3f}-{parts.highest:.3f}")
    if result["invalid"]:
        show(f"  WARNING: in {result['invalid']} slices the load client could not keep its plan")
    if result["errors"]:
        show(f"  {result['errors']} ERRORS: slices with failed requests or wrong replies")


def _time(ns):
    return f"{ns:,.1f} ns" if ns < 10_000 else f"{ns / 1000:,.1f} us"


def show_mp_heading(rounds):
    show()
    show(f"common/mp against what is beneath it, and CPython (medians of {rounds} interleaved rounds)")
    show(f"  {'':<42}{'ours':>14}{'the other':>14}{'ratio':>8}  {'range':<15}{'target':<10}verdict")


def show_mp(line):
    ours, other, ratio = line["ns_each"]["ours"], line["ns_each"]["other"], line["ratio"]
    spread = f"{ratio.lowest:.3f}-{ratio.highest:.3f}"
    show(f"  {line['name']:<42}{_time(ours.median):>14}{_time(other.median):>14}"
         f"{ratio.median:>8.3f}  {spread:<15}{str(line['target']):<10}{_verdict(line['met'])}")
    if not line["same_result"]:
        show("    the results DIFFER")


def show_uppercase_heading(rounds):
    show()
    show(f"uppercasing, GB of input per second (medians of {rounds} interleaved rounds)")
    show(f"  {'text':<18}{'MiB':>6}{'ASCII':>7}{'ours':>8}{'copy':>8}{'ratio':>8}  {'range':<15}"
         f"{'ICU':>6}{'ratio':>8}  {'range':<15}{'target':<16}verdict")


def _over(one):
    if one is None:
        return f"{'-':>8}  {'':<15}"
    ratio = one["ratio"]
    spread = f"{ratio.lowest:.2f}-{ratio.highest:.2f}"
    return f"{ratio.median:>8.2f}  {spread:<15}"


def show_uppercase(line):
    speeds, over = line["gb_per_s"], line["over"]
    icu = f"{speeds['icu'].median:>6.2f}" if "icu" in speeds else f"{'-':>6}"
    targets = [f"{one['target']} {name}" for name, one in over.items()
               if one and one["target"] != stats.Target()]
    show(f"  {line['text']:<18}{line['bytes'] >> 20:>6,}{line['ascii']:>7.0%}"
         f"{speeds['ours'].median:>8.2f}{speeds['copy'].median:>8.2f}{_over(over['copy'])}"
         f"{icu}{_over(over['icu'])}{', '.join(targets) or '-':<16}"
         f"{_verdict(line['met']) if targets else '-'}")
    if line["errors"]:
        show(f"  {'':<18}the result is NOT what ICU makes of it")


def show_no_icu():
    show("  ICU is not there, so nothing is compared with it: apt-get install libicu-dev, "
         "and build uppercase_bench again")


def show_client_heading(rounds, seconds):
    show()
    show("processor time of the load client per request, 64 connections, 64 bytes "
         f"(medians of {rounds} interleaved rounds, {seconds:g} s for each side)")
    show(f"  {'load':<12}{'server':<17}{'ours, us':>9}{'user':>7}{'other, us':>11}{'ratio':>8}"
         f"  {'range':<14}{'target':<10}{'verdict':<9}ours beside the other")


def show_client(line):
    ours, other, ratio = line["parts"]["ours"], line["us"]["other"], line["ratio"]
    known = line["target"] != stats.Target()
    spread = f"{ratio.lowest:.3f}-{ratio.highest:.3f}"
    show(f"  {line['load']:<12}{line['server']:<17}{ours['us']:>9.2f}{ours['user_us']:>7.2f}"
         f"{other.median:>11.2f}{ratio.median:>8.3f}  {spread:<14}"
         f"{str(line['target']) if known else '-':<10}"
         f"{_verdict(line['met']) if known else '-':<9}{line['ours']} / {line['other']}")
    if line["lag_p99_us"]:
        show(f"  {'':<29}sent behind its plan at p99: {line['lag_p99_us'].median:.0f} us")
    if line["errors"]:
        show(f"  {'':<29}{line['errors']} ERRORS: requests that failed or wrong replies")


def show_client_calls(calls):
    show()
    if calls is None:
        show("  system calls per request: not counted, strace is not installed")
        return
    for load, counted in calls.items():
        often = {name: each for name, each in counted["per_request"].items() if each >= 0.005}
        parts = ", ".join(f"{name} {each:.2f}"
                          for name, each in sorted(often.items(), key=lambda item: -item[1]))
        show(f"  system calls per request, {load} ({counted['requests']:,} requests): {parts}")


def show_end(good, left_out, not_measured):
    verdict = ["every target met" if good else "not every target met"]
    if left_out:
        verdict.append(f"NOT DONE: {', '.join(left_out)}")
    if not_measured:
        verdict.append(f"{not_measured} lines have no figure")
    show()
    show("; ".join(verdict))


def write_json(path, result):
    """Writes beside the file and renames, so that a full disk leaves no half of a report. What is
    there and no plain file (a pipe, a device) is written to as it is."""
    plain = not path.exists() or path.is_file()
    beside = path.with_name(path.name + ".part") if plain else path
    try:
        with open(beside, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1, default=dataclasses.asdict)
            file.write("\n")
        if plain:
            beside.replace(path)
    except OSError:
        if plain:
            beside.unlink(missing_ok=True)
        raise
