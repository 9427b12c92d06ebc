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
    show(f"  {'design':<16}{'load':<20}{'ours/s':>10}{'ceiling/s':>11}{'ratio':>8}"
         f"  {'range':<15}{'target':<18}verdict")


def show_rate(line):
    rates, ratio, target = line["rates"], line["ratio"], line["target"]
    known = target != stats.Target()
    spread = f"{ratio.lowest:.3f}-{ratio.highest:.3f}"
    show(f"  {line['name']:<16}{line['load']:<20}{rates['ours'].median:>10,.0f}"
         f"{rates['ceiling'].median:>11,.0f}{ratio.median:>8.3f}  {spread:<15}"
         f"{str(target) if known else '-':<18}{_verdict(line['met']) if known else '-'}")
    if line["errors"]:
        show(f"  {'':<16}{line['errors']} ERRORS: connections that failed or wrong replies")
    if line["lost"]:
        show(f"  {'':<16}{line['lost']} packets were sent again: something drops them, "
             "and a slice stood still")
    if not line["balanced"]:
        show(f"  {'':<16}BOOKS: the daemon's count of accepted connections is not the client's")


def show_rate_not_measured(comparison, reason):
    show(f"  {comparison.name:<16}{str(comparison.load):<20}{reason}")


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


def show_held(result):
    show()
    show(f"{result['held']:,} connections held in fork mode, each answered")
    for key in ("ours", "ceiling"):
        one = result[key]
        parts = ", ".join(f"{name} {_bytes(value)}" for name, value in one["parts"].items())
        show(f"  {key:<8} {one['processes']:,} processes, opened in {one['seconds']:.1f} s, "
             f"{one['sum'] * result['held'] / 2**20:,.0f} MiB in all; "
             f"each {_bytes(one['sum'])}: {parts}")
    if result["ours"]["disturbed"] or result["ceiling"]["disturbed"]:
        show("  WARNING: other programs started or ended meanwhile; their memory is in it")
    show(f"  a process for each: {_verdict(result['met'])}")


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


def show_end(good, not_measured):
    show()
    show(("every target met" if good else "not every target met")
         + (f"; {not_measured} lines have no figure" if not_measured else ""))


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
