// What `forkecho connect` does once it is connected: copies between a person or a pipe and the
// server. Each function owns the conversation until its end.
//
// They return how it ended, and throw std::system_error when standard input or output fails.
// SIGPIPE must be ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/sys/deadline.h"
#include "common/sys/descriptor.h"

namespace forkecho::client {

enum class ConnectEnd {
  finished,     // everything was sent, and the server closed after its last reply
  server_left,  // the server ended the connection first
};

struct CopyOptions {
  int input = 0;         // read with poll, left as it is
  int output = 1;        // written to with blocking writes
  bool prompts = false;  // for a person: "> " when it is their turn
};

/// Copies input to the server and its replies to output, both at once, so that neither side ever
/// waits for the other in vain; at the end of input half-closes, and copies what still comes.
ConnectEnd copy_both_ways(sys::Descriptor socket, const CopyOptions& options);

struct MessageOptions {
  std::string text;                      // sent as a line
  sys::Duration every{0};                // from one sending to the next
  std::optional<std::uint64_t> count{};  // empty: for ever
  int output = 1;
};

/// Sends the text as a line, writes the reply's line to output, and again after `every`, `count`
/// times; then half-closes, and copies what still comes.
ConnectEnd send_messages(sys::Descriptor socket, const MessageOptions& options);

}  // namespace forkecho::client
