"""Prints which tests prove each row of seed_rows.tsv, and fails on a row without one.

A test proves a row by naming it: PROVES("3.7") in a C++ test's body (support/proves.h), a line
`proves("3.11")` in the docstring or comment of a Python test. A row "cpython:part:case" is proved by
PROVES("cpython:case") in a test file whose name begins with that part, the part's kill tests included.
The test must be one that the runner knows: its files are read when FORKECHO_BUILD is set.
"""
import os
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parent
TEST_HEAD = re.compile(r"^(?:TYPED_)?TEST(?:_[FP])?\((\w+),\s*(\w+)\)", re.MULTILINE)
ADDED = re.compile(r"^add_test\((?:\[=*\[)?\s*([^\s\]]+)", re.MULTILINE)
PROVEN = re.compile(r'(?:PROVES|proves)\(([^)]*)\)')


def rows():
    lines = (TESTS / "seed_rows.tsv").read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t", 1) for line in lines if line and not line.startswith("#"))


def names_in(text):
    return [name for call in PROVEN.findall(text) for name in re.findall(r'"([^"]+)"', call)]


def claims_of(path):
    """Pairs of a test's name and a name that it says it proves."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return [(path.stem.removesuffix("_test"), name) for name in names_in(text)]
    heads = list(TEST_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return [
        (f"{head[1]}.{head[2]}", name)
        for head, end in zip(heads, ends)
        for name in names_in(text[head.end() : end])
    ]


def row_of(name, path):
    """The id of the row that `name` stands for in the file `path`."""
    case = name.removeprefix("cpython:")
    if case == name:
        return name
    for part in sorted((row.split(":")[1] for row in rows() if row.startswith("cpython:")), key=len, reverse=True):
        if path.name.startswith(part) and f"cpython:{part}:{case}" in rows():
            return f"cpython:{part}:{case}"
    # queue's cases are those of the three queues, connection's those of poll and wait as well
    for part in ("queue", "connection"):
        if part in path.name and f"cpython:{part}:{case}" in rows():
            return f"cpython:{part}:{case}"
    return name


def known_tests():
    """What the runner knows; None when there is no build to ask. Read from the runner's files: to start it
    once more, beside the one that runs this test, would take that one's log from it."""
    build = os.environ.get("FORKECHO_BUILD")
    if build is None:
        return None
    files = (pathlib.Path(build) / "tests").glob("*.cmake")
    return [name for file in files for name in ADDED.findall(file.read_text(encoding="utf-8"))]


def main():
    proofs = {row: [] for row in rows()}
    faults = []
    known = known_tests()
    for path in sorted(TESTS.rglob("*_test.*")):
        if path.suffix not in (".cpp", ".py") or path == pathlib.Path(__file__).resolve():
            continue
        for test, name in claims_of(path):
            row = row_of(name, path)
            if row not in proofs:
                faults.append(f"{path.relative_to(TESTS)}: {test} proves {name}, which is no row")
            elif known is not None and not any(test in each for each in known):
                faults.append(f"{path.relative_to(TESTS)}: {test} is not among the runner's tests")
            else:
                proofs[row].append(test)
    for row, behaviour in rows().items():
        print(f"{row}: {behaviour}")
        for test in proofs[row]:
            print(f"    {test}")
    faults += [f"row {row} has no test" for row, tests in proofs.items() if not tests]
    print(f"{len(proofs)} rows, {sum(map(bool, proofs.values()))} with a test")
    for fault in faults:
        print(f"FAULT: {fault}")
    return 1 if faults else 0


sys.exit(main())
