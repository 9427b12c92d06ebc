// Writing a file whole or not at all, so that a full disk or a kill never leaves half a report.
// Used for every file that forkecho makes. Safe between processes: the last one wins.
#pragma once

#include <string>
#include <string_view>

namespace forkecho::client {

/// Writes `content` to a new file beside `path`, and renames it to `path` once it is on the disk.
/// "-" is standard output; what is no regular file (a pipe, /dev/full) is written directly. Throws
/// std::system_error whose text names the path; `path` is then as it was before.
void write_file_whole(const std::string& path, std::string_view content);

/// For before a long run: throws what write_file_whole would throw now for want of a directory or
/// of permission. Leaves nothing behind.
void check_writable(const std::string& path);

}  // namespace forkecho::client
