#include "common/mp/lean_parent.h"

#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <exception>

#include "common/mp/own_stack.h"
#include "common/mp/shared_memory.h"
#include "common/sys/check_syscall.h"

extern "C" char _end;  // NOLINT: the linker's name for the end of the program's data (end(3))

namespace forkecho::mp {
namespace {

constexpr std::size_t stack_bytes = std::size_t{1} << 20;

/// The upper end of what the C library keeps of this thread; what it will touch without being asked
/// lies below. Its size is no secret, but no constant either: a page is several times as much.
std::uintptr_t end_of_thread_record() {
  return reinterpret_cast<std::uintptr_t>(__builtin_thread_pointer()) + page_size();
}

std::uintptr_t next_page(std::uintptr_t address) {
  return (address + page_size() - 1) / page_size() * page_size();
}

/// The kernel keeps the number of the processor in it, and writes that after every fork on either
/// side. Nobody needs it here but sched_getcpu, which then asks the kernel.
void stop_restartable_sequences() {
  if (__rseq_size == 0) return;
  auto* const area = static_cast<char*>(__builtin_thread_pointer()) + __rseq_offset;
  // The size that the C library has registered: it tells of less where less is used. A kernel that
  // refuses leaves it as it is, only slower.
  syscall(SYS_rseq, area, 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
}

struct Call {
  const std::function<void()>& function;
  std::exception_ptr thrown;
};
Call* call = nullptr;  // makecontext passes numbers only

/// No exception may pass the end of the stack.
void run_call() {
  try {
    call->function();
  } catch (...) {
    call->thrown = std::current_exception();
  }
}

class UnforkedStack {
 public:
  UnforkedStack() : memory_(stack_bytes + page_size()) {
    sys::check_syscall(mprotect(memory_.data(), page_size(), PROT_NONE), "mprotect");
    memory_.keep_from_children();
  }
  stack_t stack() const {
    return {.ss_sp = static_cast<std::byte*>(memory_.data()) + page_size(),
            .ss_flags = 0,
            .ss_size = stack_bytes};
  }

 private:
  SharedMemory memory_;  // shared: a fork does not make it copy-on-write; below it, a guard
};

}  // namespace

void run_lean(const std::function<void()>& loop) {
  if (!has_own_stack) return loop();
  stop_restartable_sequences();
  const UnforkedStack stack;
  Call made{.function = loop, .thrown = {}};
  call = &made;
  ucontext_t here;
  ucontext_t there;
  sys::check_syscall(getcontext(&there), "getcontext");
  there.uc_stack = stack.stack();
  there.uc_link = &here;
  makecontext(&there, run_call, 0);
  sys::check_syscall(swapcontext(&here, &there), "swapcontext");
  if (made.thrown) std::rethrow_exception(made.thrown);
}

void keep_heap_from_children() {
  const auto program_end = reinterpret_cast<std::uintptr_t>(&_end);
  const auto heap_end = reinterpret_cast<std::uintptr_t>(sbrk(0));
  const auto record_end = end_of_thread_record();
  // Linked statically, the record is the first that is on the heap.
  if (!has_own_stack || record_end < program_end || record_end > heap_end) return;
  const auto begin = next_page(record_end);
  if (begin >= heap_end) return;
  sys::check_syscall(madvise(reinterpret_cast<void*>(begin), heap_end - begin, MADV_DONTFORK),
                     "madvise(MADV_DONTFORK)");
}

}  // namespace forkecho::mp
