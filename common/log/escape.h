// What a message may hold, once it is in a line of the log: nothing that ends the line, and in JSON
// nothing that is no JSON. Messages quote what strangers choose: paths, addresses, errors of peers.
// Used by log.cpp. Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace forkecho::log {

/// For a person: control characters as \n, \t, \r or \x1b; everything else as it is. (A backslash
/// stays single: the text is to be read, not to be parsed back.)
std::string escape_for_text(std::string_view message);

/// The inside of a JSON string (RFC 8259, section 7). Each byte that is no part of well-formed
/// UTF-8 (RFC 3629) becomes U+FFFD.
std::string escape_for_json(std::string_view message);

}  // namespace forkecho::log
