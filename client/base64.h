// Base64 (RFC 4648, section 4), as HdrHistogram's logs and the JSON of a run have it. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace forkecho::client {

/// With padding, without line ends.
std::string encode_base64(std::string_view bytes);

/// Empty when `text` has another character, a length that is no multiple of four, padding
/// elsewhere than at its end, or bits behind its last byte: each byte string has one form.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace forkecho::client
