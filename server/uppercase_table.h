// Written by generate_uppercase_table.py from the data files of Unicode 15.0.0; do not edit.
//
// The uppercase of every code point that has one, by its UTF-8 form. Only uppercase.cpp reads it.
// Constants alone, 12208 bytes, shared by all processes; nothing is computed at start.
//
// A byte below stands for the low bits of the UTF-8 form: six of a continuation byte, five, four or
// three of a lead byte. Forms that are not well formed (overlong, surrogates) read as "unchanged".
#pragma once

#include "server/byte_block.h"

namespace forkecho::server::uppercase_table {

/// An uppercase whose UTF-8 form has another length than the character's, or several code points.
struct Resized {
  unsigned char length;
  unsigned char bytes[7];
};

/// Indexed by the other tables; entry 0 is not used.
extern const Resized resized[102];

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
extern const unsigned short block_targets[41][64];

/// Every character of several bytes that has an uppercase begins with a byte in one of these.
inline constexpr ByteRange cased_leads[4] = {
    {0xC2, 0xD6}, {0xE1, 0xE2}, {0xEA, 0xEA}, {0xEF, 0xF0}};

/// The first code point whose UTF-8 form has three bytes.
inline constexpr unsigned first_target = 0x800;

}  // namespace forkecho::server::uppercase_table
