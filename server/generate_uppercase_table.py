#!/usr/bin/env python3
"""Generates server/uppercase_table.h and server/uppercase_table.cpp from Unicode's data files.

    generate_uppercase_table.py            writes both files next to this script
    generate_uppercase_table.py --check    compares them with what would be written

The data files are those of Debian's package unicode-data. Full, unconditional uppercase mappings are
taken: SpecialCasing.txt where a line has no condition, else the simple mapping of UnicodeData.txt.
That is what Python's str.upper() does.

Exit codes: 0 written, or the same; 1 --check found a difference; 77 the data files are not there, or
are of another version of Unicode (77 is what ctest takes for "skipped"); 70 the data break a
property that the table's form relies on.
"""

import argparse
import pathlib
import sys

UNICODE_VERSION = "15.0.0"
DATA_DIRECTORY = pathlib.Path("/usr/share/unicode")
HERE = pathlib.Path(__file__).resolve().parent

EXIT_DIFFERENT = 1
EXIT_BAD_DATA = 70
EXIT_SKIPPED = 77

BLOCK = 64  # code points that share all bytes of their UTF-8 form but the last
RESIZED_BYTES = 7
# Ranges of bytes, few, as each costs instructions in every block of text that is not ASCII.
CASED_LEADS = [(0xC2, 0xD6), (0xE1, 0xE2), (0xEA, 0xEA), (0xEF, 0xF0)]


def fail(code, message):
    print(f"generate_uppercase_table: {message}", file=sys.stderr)
    sys.exit(code)


def require(condition, message):
    if not condition:
        fail(EXIT_BAD_DATA, f"the table's form does not allow this: {message}")


def read_data_file(directory, name):
    try:
        return (directory / name).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        fail(EXIT_SKIPPED, f"{error.filename} is missing (Debian package unicode-data)")


def code_points(field):
    return [int(code, 16) for code in field.split()]


def simple_mappings(lines):
    """Field 12 of UnicodeData.txt, Simple_Uppercase_Mapping."""
    fields = (line.split(";") for line in lines if line)
    return {int(field[0], 16): [int(field[12], 16)] for field in fields if field[12]}


def full_mappings(lines):
    """Field 3 of SpecialCasing.txt, for the lines without a condition (no field 4)."""
    mappings = {}
    for line in lines:
        fields = [field.strip() for field in line.split("#")[0].split(";")]
        if len(fields) > 1 and not any(fields[4:]):
            mappings[int(fields[0], 16)] = code_points(fields[3])
    return mappings


def read_uppercase(directory):
    """{code point: [code points of its uppercase]}, only those that change."""
    special_casing = read_data_file(directory, "SpecialCasing.txt")
    if UNICODE_VERSION not in special_casing[0]:
        fail(EXIT_SKIPPED, f"{special_casing[0]!r} is not of Unicode {UNICODE_VERSION}")
    upper = simple_mappings(read_data_file(directory, "UnicodeData.txt"))
    upper.update(full_mappings(special_casing))
    return {code: to for code, to in upper.items() if to != [code]}


def utf8(codes):
    return "".join(map(chr, codes)).encode("utf-8")


class Table:
    """The arrays of uppercase_table.h, see there for what they mean."""

    def __init__(self, upper):
        self.resized = [b""]  # index 0 says "no such entry"
        self.two_byte = [tuple(self._two_byte_form(index)) for index in range(2048)]
        self.block_targets = [[0] * BLOCK]
        self.three_byte_blocks = [0] * 1024
        self.four_byte_blocks = [0] * 1024
        for code, to in sorted(upper.items()):
            self._add(code, to)
        require(len(self.resized) <= 256, "more than 255 mappings that change the length")
        require(len(self.block_targets) <= 256, "more than 255 blocks")

    def size(self):
        return (2 * len(self.two_byte) + len(self.three_byte_blocks) + len(self.four_byte_blocks)
                + 2 * BLOCK * len(self.block_targets) + (RESIZED_BYTES + 1) * len(self.resized))

    @staticmethod
    def _two_byte_form(index):
        return 0xC0 | index >> 6, 0x80 | index & 0x3F

    def _add(self, code, to):
        before, after = utf8([code]), utf8(to)
        require(len(after) <= 3 * len(before), f"U+{code:04X} grows more than threefold")
        require(code < 0x80 or any(first <= before[0] <= last for first, last in CASED_LEADS),
                f"U+{code:04X} begins with a byte that is not in CASED_LEADS")
        add = {1: self._add_ascii, 2: self._add_two, 3: self._add_three, 4: self._add_four}
        add[len(before)](code, to, after)

    def _add_ascii(self, code, to, after):
        require(chr(code).islower() and to == [code - 32], f"U+{code:04X} is not ASCII's mapping")

    def _add_two(self, code, to, after):
        same_size = len(after) == 2
        self.two_byte[code] = tuple(after) if same_size else (0, self._add_resized(after))

    def _add_three(self, code, to, after):
        same_size = len(after) == 3 and len(to) == 1
        target = to[0] if same_size else self._add_resized(after)
        self._block(self.three_byte_blocks, code >> 6)[code % BLOCK] = target

    def _add_four(self, code, to, after):
        require(len(to) == 1 and code >> 16 == to[0] >> 16 == 1 and to[0] & 0xFFFF,
                f"U+{code:04X} or its uppercase lies outside of plane 1")
        self._block(self.four_byte_blocks, (code & 0xFFFF) >> 6)[code % BLOCK] = to[0] & 0xFFFF

    def _add_resized(self, after):
        require(len(after) <= RESIZED_BYTES, "an uppercase of more than 7 bytes")
        if after not in self.resized:
            self.resized.append(after)
        return self.resized.index(after)

    def _block(self, blocks, index):
        if not blocks[index]:
            blocks[index] = len(self.block_targets)
            self.block_targets.append([0] * BLOCK)
        return self.block_targets[blocks[index]]


HEADER = """\
// Written by generate_uppercase_table.py from the data files of Unicode {version}; do not edit.
//
// The uppercase of every code point that has one, by its UTF-8 form. Only uppercase.cpp reads it.
// Constants alone, {size} bytes, shared by all processes; nothing is computed at start.
//
// A byte below stands for the low bits of the UTF-8 form: six of a continuation byte, five, four or
// three of a lead byte. Forms that are not well formed (overlong, surrogates) read as "unchanged".
#pragma once

#include "server/byte_block.h"

namespace forkecho::server::uppercase_table {{

/// An uppercase whose UTF-8 form has another length than the character's, or several code points.
struct Resized {{
  unsigned char length;
  unsigned char bytes[{resized_bytes}];
}};

/// Indexed by the other tables; entry 0 is not used.
extern const Resized resized[{resized}];

/// For characters of two bytes, by their 11 bits: the two bytes of the uppercase, or of the
/// character itself; or 0 and an index into `resized`.
extern const unsigned char two_byte[2048][2];

/// For characters of three bytes, by the 10 bits of their first two: the block in `block_targets`,
/// or 0 where nothing changes.
extern const unsigned char three_byte_blocks[1024];

/// The same for characters of four bytes in plane 1, by bits 15 to 6 of the code point.
extern const unsigned char four_byte_blocks[1024];

/// By the 6 bits of the last byte: 0 where nothing changes. Else, for characters of three bytes,
/// the code point of the uppercase if it is first_target or more, an index into `resized` if less;
/// for characters of four bytes the low 16 bits of the uppercase, which lies in plane 1 too.
extern const unsigned short block_targets[{blocks}][{block}];

/// Every character of several bytes that has an uppercase begins with a byte in one of these.
inline constexpr ByteRange cased_leads[{cased_leads}] = {{
    {cased_lead_rows}}};

/// The first code point whose UTF-8 form has three bytes.
inline constexpr unsigned first_target = 0x800;

}}  // namespace forkecho::server::uppercase_table
"""

SOURCE = """\
// Written by generate_uppercase_table.py from the data files of Unicode {version}; do not edit.
#include "server/uppercase_table.h"

// clang-format off
namespace forkecho::server::uppercase_table {{

const Resized resized[{resized}] = {{
{resized_rows}
}};

const unsigned char two_byte[2048][2] = {{
{two_byte_rows}
}};

const unsigned char three_byte_blocks[1024] = {{
{three_byte_rows}
}};

const unsigned char four_byte_blocks[1024] = {{
{four_byte_rows}
}};

const unsigned short block_targets[{blocks}][{block}] = {{
{block_rows}
}};

}}  // namespace forkecho::server::uppercase_table
"""


def rows(items, per_row):
    return "\n".join("  " + " ".join(f"{item}," for item in items[at:at + per_row])
                     for at in range(0, len(items), per_row))


def resized_row(data):
    return f"{{{len(data)}, {{{', '.join(f'0x{byte:02X}' for byte in data)}}}}}"


def block_row(targets):
    return "{\n" + rows([f"0x{target:04X}" for target in targets], 12) + "}"


def render(table):
    """{file name: text}"""
    values = {
        "version": UNICODE_VERSION, "size": table.size(), "resized": len(table.resized),
        "resized_bytes": RESIZED_BYTES, "blocks": len(table.block_targets), "block": BLOCK,
        "cased_leads": len(CASED_LEADS),
        "cased_lead_rows": ", ".join(f"{{0x{a:02X}, 0x{b:02X}}}" for a, b in CASED_LEADS),
        "resized_rows": rows([resized_row(data) for data in table.resized], 2),
        "two_byte_rows": rows([f"{{0x{a:02X}, 0x{b:02X}}}" for a, b in table.two_byte], 6),
        "three_byte_rows": rows([str(block) for block in table.three_byte_blocks], 24),
        "four_byte_rows": rows([str(block) for block in table.four_byte_blocks], 24),
        "block_rows": rows([block_row(targets) for targets in table.block_targets], 1),
    }
    return {"uppercase_table.h": HEADER.format(**values),
            "uppercase_table.cpp": SOURCE.format(**values)}


def check(files):
    different = [name for name, text in files.items()
                 if not (HERE / name).exists() or (HERE / name).read_text(encoding="utf-8") != text]
    if different:
        fail(EXIT_DIFFERENT, f"not what this script makes: {', '.join(different)}")


def main():
    parser = argparse.ArgumentParser(description="Generates server/uppercase_table.h and .cpp.")
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    parser.add_argument("--data", type=pathlib.Path, default=DATA_DIRECTORY,
                        help="directory of UnicodeData.txt and SpecialCasing.txt")
    arguments = parser.parse_args()
    files = render(Table(read_uppercase(arguments.data)))
    if arguments.check:
        check(files)
        return
    for name, text in files.items():
        (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
