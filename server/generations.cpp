#include "server/generations.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "common/log/log.h"
#include "common/mp/reap.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;

/// For the first process of a new generation to settle in; it takes some milliseconds.
constexpr auto settling_time = 10s;
/// For those of the old one to hear that they accept nobody more.
constexpr auto hearing_time = 2s;

}  // namespace

Generations::Generations(std::shared_ptr<const Options> options,
                         std::span<const Listener> listeners)
    : listeners_(listeners) {
  current_ = make(std::move(options));
}

Generations::Generation Generations::make(std::shared_ptr<const Options> options) {
  Elders pages;
  if (current_.tree) pages.push_back(current_.tree->pages());
  for (const Generation& elder : elders_) pages.push_back(elder.tree->pages());
  Generation made;
  made.number = ++last_number_;
  made.tree = std::make_unique<ProcessTree>(options, listeners_, std::move(pages));
  made.options = std::move(options);
  return made;
}

template <typename Visit>
void Generations::for_each(Visit visit) const {
  visit(*current_.tree);
  if (candidate_) visit(*candidate_->tree);
  for (const Generation& elder : elders_) visit(*elder.tree);
}

unsigned Generations::seated_beside(const ProcessTree& tree) const {
  unsigned seated = 0;
  for_each([&](const ProcessTree& other) { seated += &other == &tree ? 0 : other.seated(); });
  return seated;
}

void Generations::start() {
  current_.tree->start();
}

void Generations::replace(std::shared_ptr<const Options> options, Outcome outcome) {
  outcome_ = std::move(outcome);
  ready_by_ = sys::Deadline::after(settling_time);
  try {
    candidate_ = make(std::move(options));
  } catch (const std::exception& error) {
    return conclude("the system has no room for it: " + std::string(error.what()));
  }
  candidate_->tree->start(seated_beside(*candidate_->tree));
  keep_replacing();
}

void Generations::keep_replacing() {
  if (!is_replacing()) return;
  if (!candidate_) {
    const Generation& replaced = elders_.front();
    if (!replaced.tree->still_accepts() || replaced.doors.is_never()) conclude({});
  } else if (candidate_->tree->is_ready()) {
    promote();
  } else if (candidate_->tree->seated() == 0) {
    dismiss("the new processes could not be started, or ended at once (see the lines above)");
  } else if (ready_by_.passed()) {
    candidate_->tree->kill_all();  // they hang
    dismiss("the new processes were not ready in time");
  }
}

void Generations::promote() {
  log::info("generation {} takes over from generation {}, which has {} connections open",
            candidate_->number, current_.number, current_.tree->totals().active());
  elders_.push_front(std::exchange(current_, std::move(*candidate_)));
  candidate_.reset();
  Generation& replaced = elders_.front();
  replaced.tree->retire_all();
  replaced.doors = sys::Deadline::after(hearing_time);
  current_.since = replaced.since = sys::Clock::now();
}

/// Nobody of it was ready when last looked at. Whoever has become so since may have taken a client
/// in: it serves him, and leaves.
void Generations::dismiss(const std::string& why) {
  candidate_->tree->retire_all();
  elders_.push_front(std::move(*candidate_));
  candidate_.reset();
  conclude(why);
}

void Generations::conclude(const std::string& error) {
  // It may ask for the next one at once.
  std::exchange(outcome_, nullptr)(error);
}

void Generations::give_up_replacing() {
  if (candidate_ && candidate_->tree->is_ready()) promote();
  if (candidate_) return dismiss("the daemon ends");
  if (is_replacing()) conclude({});
}

bool Generations::take_ended(pid_t pid) {
  bool taken = false;
  for_each([&](ProcessTree& tree) { taken = taken || tree.take_ended(pid); });
  return taken;
}

void Generations::maintain() {
  for_each([this](ProcessTree& tree) {
    if (!candidate_ || &tree != candidate_->tree.get()) tree.maintain(seated_beside(tree));
  });
  watch_doors();
  keep_replacing();
  drop_the_empty();
}

void Generations::watch_doors() {
  for (Generation& elder : elders_) {
    if (!elder.doors.passed()) continue;
    elder.doors = sys::Deadline::never();
    if (elder.tree->still_accepts())
      log::warning("a process of generation {} does not hear that it shall retire", elder.number);
    elder.tree->stop_waiting_for_doors();
  }
}

void Generations::drop_the_empty() {
  for (auto elder = elders_.begin(); elder != elders_.end();) {
    const bool awaited = is_replacing() && elder == elders_.begin();
    if (!elder->tree->empty() || awaited) {
      ++elder;
      continue;
    }
    log::info("generation {} has ended", elder->number);
    closed_ += elder->tree->totals();
    for_each([&](ProcessTree& tree) { tree.forget_elder(elder->tree->pages()); });
    elder = elders_.erase(elder);
  }
}

void Generations::maintain_drain() {
  current_.tree->maintain_drain(seated_beside(*current_.tree));
  drop_the_empty();
}

void Generations::retire_all() {
  for_each([](ProcessTree& tree) { tree.retire_all(); });
}

void Generations::tell(int signal, int adopted_signal) {
  for_each([=](ProcessTree& tree) { tree.tell(signal, adopted_signal); });
}

void Generations::kill_all() {
  for_each([](ProcessTree& tree) { tree.kill_all(); });
}

bool Generations::empty() const {
  bool empty = true;
  for_each([&](const ProcessTree& tree) { empty = empty && tree.empty(); });
  return empty;
}

BookTotals Generations::totals() const {
  BookTotals totals = closed_;
  for_each([&](const ProcessTree& tree) { totals += tree.totals(); });
  return totals;
}

ChildCounts Generations::children() const {
  ChildCounts sum{.forked = closed_.forked, .reaped = closed_.reaped, .idle = 0, .busy = 0};
  for_each([&](const ProcessTree& tree) {
    const ChildCounts counts = tree.children();
    sum.forked += counts.forked;
    sum.reaped += counts.reaped;
    sum.idle += counts.idle;
    sum.busy += counts.busy;
  });
  return sum;
}

std::uint64_t Generations::visit_slots(std::uint64_t most,
                                       const std::function<void(const Slot&)>& visit) const {
  std::uint64_t shown = 0;
  std::uint64_t omitted = 0;
  const auto count = [&](const Slot& slot) {
    ++shown;
    visit(slot);
  };
  for_each([&](const ProcessTree& tree) { omitted += tree.visit_slots(most - shown, count); });
  return omitted;
}

void Generations::make_memory_read_only() {
  for_each([](ProcessTree& tree) { tree.make_memory_read_only(); });
}

void Generations::for_each_pages(const std::function<void(const GenerationPages&)>& visit) const {
  for_each([&](const ProcessTree& tree) { visit(*tree.pages()); });
}

bool Generations::is_busy() const {
  return is_replacing() || !elders_.empty() || current_.tree->is_busy();
}

std::vector<GenerationView> Generations::views() const {
  const auto now = sys::Clock::now();
  std::vector<GenerationView> views;
  const auto view = [&](const Generation& generation, bool draining) {
    views.push_back({.number = generation.number,
                     .draining = draining,
                     .since_s = std::chrono::duration<double>(now - generation.since).count(),
                     .active = generation.tree->totals().active()});
  };
  view(current_, false);
  for (const Generation& elder : elders_) view(elder, true);
  return views;
}

}  // namespace forkecho::server
