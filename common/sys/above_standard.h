// above_standard: a descriptor whose number is none of standard input, output and error.
//
// A process that was started without one of these (0<&-) gets its number for the next thing that it
// opens; who later closes or replaces its standard input, as a child does, would close that. For
// whatever a child inherits. Throws std::system_error (EMFILE); `descriptor` is closed then.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include "common/sys/check_syscall.h"
#include "common/sys/descriptor.h"

namespace forkecho::sys {

/// Takes ownership of `descriptor`, which is closed on exec from then on if it is given another
/// number. Costs nothing for one that is above already.
inline Descriptor above_standard(int descriptor) {
  Descriptor owned(descriptor);
  if (descriptor < 0 || descriptor > STDERR_FILENO) return owned;
  return Descriptor(check_syscall(fcntl(owned.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1),
                                  "fcntl(F_DUPFD_CLOEXEC)"));
}

}  // namespace forkecho::sys
