#include "server/spares.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "common/sys/check_syscall.h"
#include "common/sys/raw_syscall.h"

namespace forkecho::server {

Spares::Spares(const PoolSizes& sizes, int grown, std::uint32_t children)
    : configured_(sizes),
      grown_(grown),
      target_(std::min(std::max(sizes.start, sizes.min_spare), children)),
      burst_(largest_burst),  // the first ones at once
      announcements_(sys::check_syscall(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")),
      entries_(children) {
  configured_.max = children;
  entries_.memory().keep_from_children();
}

[[gnu::hot]] void Spares::announce(int fd) {
  const std::uint64_t one = 1;
  sys::raw_syscall(SYS_write, fd, &one, sizeof one);
}

void Spares::add(pid_t pid, std::uint32_t slot) {
  entries_[count_++] = {.pid = pid, .slot = slot};
}

bool Spares::has(pid_t pid) const {
  const auto all = entries_.all().first(count_);
  return std::any_of(all.begin(), all.end(), [pid](const Entry& e) { return e.pid == pid; });
}

bool Spares::remove(pid_t pid) {
  for (std::uint32_t i = 0; i < count_; ++i) {
    if (entries_[i].pid != pid) continue;
    entries_[i] = entries_[--count_];
    return true;
  }
  return false;
}

unsigned Spares::collect(std::span<const Slot> slots) {
  std::uint64_t announced = 0;
  if (read(announcements_.get(), &announced, sizeof announced) < 0) return 0;
  unsigned taken = 0;
  for (std::uint32_t i = 0; i < count_;) {
    if (slots[entries_[i].slot].state.load(std::memory_order_acquire) != SlotState::serving) {
      ++i;
      continue;
    }
    entries_[i] = entries_[--count_];
    ++taken;
  }
  return taken;
}

void Spares::for_each_pid(const std::function<void(pid_t)>& visit) const {
  for (std::uint32_t i = 0; i < count_; ++i) visit(entries_[i].pid);
}

PoolDecision Spares::decide(std::uint32_t children) {
  PoolSizes sizes = this->sizes();
  sizes.min_spare = std::min(target_, sizes.max);
  sizes.max_spare = std::max(sizes.max_spare, sizes.min_spare);
  const PoolDecision decision = decide_pool_size(
      {.idle = count_, .busy = children - count_, .retiring = 0, .replace = 0, .burst = burst_},
      sizes);
  burst_ = decision.next_burst;
  return decision;
}

PoolSizes Spares::sizes() const {
  return grown_sizes(configured_, grown_);
}

void Spares::ran_out() {
  const PoolSizes sizes = this->sizes();
  target_ = std::min(std::max(target_ * 2, sizes.min_spare), sizes.max_spare);
}

void Spares::relax() {
  if (target_ > sizes().min_spare) --target_;
}

void Spares::grow(int by) {
  grown_ += by;
  const PoolSizes sizes = this->sizes();
  target_ = std::clamp(target_ + static_cast<unsigned>(by), sizes.min_spare, sizes.max_spare);
}

}  // namespace forkecho::server
