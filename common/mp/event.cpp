#include "common/mp/event.h"

#include "common/mp/step.h"

namespace forkecho::mp {
namespace {

constexpr std::uint32_t flag = 1;

/// The next generation, with the flag set.
constexpr std::uint32_t set_anew(std::uint32_t word) {
  return (word + 2) | flag;
}

constexpr bool same_generation(std::uint32_t a, std::uint32_t b) {
  return a >> 1 == b >> 1;
}

}  // namespace

void Event::set() {
  std::uint32_t word = word_->load();
  do {
    if ((word & flag) != 0) return;
  } while (!word_->compare_exchange_weak(word, set_anew(word)));
  FORKECHO_MP_STEP("event.set.stored");
  wake_word(*word_);
}

void Event::clear() {
  word_->fetch_and(~flag);
  FORKECHO_MP_STEP("event.clear.stored");
}

bool Event::is_set() const {
  return (word_->load() & flag) != 0;
}

bool Event::wait(sys::Deadline deadline) const {
  const std::uint32_t begun = word_->load();
  for (std::uint32_t now = begun;; now = word_->load()) {
    if ((now & flag) != 0 || !same_generation(begun, now)) return true;
    if (deadline.passed()) return false;
    FORKECHO_MP_STEP("event.wait.waiting");
    sleep_on_word(*word_, now, deadline);
    FORKECHO_MP_STEP("event.wait.woken");
  }
}

}  // namespace forkecho::mp
