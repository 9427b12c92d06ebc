// SurviveShortage: what the system refuses the supervisor now (memory, a descriptor, a process) is
// done at a later tick: the loop goes on. It answers from a reserve meanwhile (memory_reserve.h).
//
// The supervisor alone has one. Not for threads.
#pragma once

#include <cerrno>
#include <new>
#include <system_error>

#include "server/memory_reserve.h"
#include "server/shortage.h"

namespace forkecho::server {

class SurviveShortage {
 public:
  /// Does `deed`; that the system has not enough for it is a warning, any other error is thrown.
  template <typename Deed>
  void operator()(Deed deed) {
    try {
      deed();
    } catch (const std::bad_alloc&) {
      warning_.tell("the supervisor", ENOMEM, "it tries again");
    } catch (const std::system_error& error) {
      if (!is_shortage(error.code().value())) throw;
      warning_.tell(error.what(), error.code().value(), "the supervisor tries again");
    }
    reserve_.renew();
  }

 private:
  MemoryReserve reserve_;
  RepeatedWarning warning_;
};

}  // namespace forkecho::server
