// What the kill tests of the queues have in common: messages that tell who put them and whether
// they are whole, the books of what was put and got, and processes that work on a queue while
// others are killed at it.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <time.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "common/mp/raw_shared.h"
#include "tests/support/child.h"
#include "tests/support/kill_at_step.h"

namespace forkecho::tests {

/// Cheap random numbers, of which each process has its own.
inline std::uint32_t hash(std::uint32_t a, std::uint32_t b) {
  std::uint64_t x = (std::uint64_t{a} << 32 | b) * 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9U;
  return static_cast<std::uint32_t>(x >> 32);
}

/// Number `number` of page `page`: its length and each of its bytes follow from these two, so that
/// a message torn, cut or mixed with another differs from what it should be. Mostly short; now and
/// then 60 kB long.
inline std::string message_of(std::uint32_t page, std::uint32_t number) {
  const std::uint32_t seed = hash(page, number);
  const std::size_t words = seed % 64 == 0 ? 15'000 : seed % 300;
  std::vector<std::uint32_t> content{page, number};
  for (std::uint32_t i = 0; i < words; ++i) content.push_back(seed * 2654435761U + i);
  return {reinterpret_cast<const char*>(content.data()), content.size() * sizeof content[0]};
}

/// In shared memory: who put what and who got it. A producer numbers its messages from 0 on a page
/// of its own, and takes another page when it is full; of what a page holds, only the last message
/// can have an uncertain fate.
class QueueBooks {
 public:
  static constexpr std::uint32_t pages = 4096;
  static constexpr std::uint32_t page_length = 2048;

  /// The messages of one process, in order.
  class Producer {
   public:
    explicit Producer(const QueueBooks& books) : books_(books), page_(books.new_page()) {}
    /// Calls put(message), and enters it as begun before and as put afterwards.
    template <typename Put>
    bool operator()(Put put) {
      if (number_ == page_length) {
        page_ = books_.new_page();
        number_ = 0;
      }
      const std::string message = message_of(page_, number_);
      books_.pages_[page_].begun = ++number_;
      if (!put(message)) return false;
      books_.pages_[page_].put = number_;
      return true;
    }

   private:
    const QueueBooks& books_;
    std::uint32_t page_;
    std::uint32_t number_ = 0;
  };

  /// What one process gets.
  class Consumer {
   public:
    explicit Consumer(const QueueBooks& books) : books_(books) {}
    void operator()(const std::string& message) {
      std::uint32_t page = pages;
      std::uint32_t number = 0;
      if (message.size() >= 2 * sizeof page) {
        message.copy(reinterpret_cast<char*>(&page), sizeof page, 0);
        message.copy(reinterpret_cast<char*>(&number), sizeof number, sizeof page);
      }
      if (page >= pages || number >= page_length || message != message_of(page, number)) {
        ++books_.figures_->torn;
        return;
      }
      const auto [last, is_first] = last_.try_emplace(page, number);
      if (!is_first && number <= last->second) ++books_.figures_->out_of_order;
      last->second = number;
      if (++books_.got_[page * page_length + number] > 1) ++books_.figures_->twice;
    }

   private:
    const QueueBooks& books_;
    std::map<std::uint32_t, std::uint32_t> last_;
  };

  struct Balance {
    std::uint64_t put = 0;              // put returned
    std::uint64_t uncertain = 0;        // put began, and its caller was killed in it
    std::uint64_t uncertain_there = 0;  // of these, got
    std::uint64_t missing = 0;          // put returned, and nobody told that he got it
    std::uint64_t never_put = 0;        // got, and never begun
  };

  Balance balance() const {
    Balance result;
    for (std::uint32_t page = 0; page < figures_->next_page; ++page) {
      const std::uint32_t put = pages_[page].put;
      const std::uint32_t begun = pages_[page].begun;
      result.put += put;
      result.uncertain += begun - put;
      for (std::uint32_t number = 0; number < page_length; ++number) {
        const unsigned got = got_[page * page_length + number];
        if (number < put && got == 0) ++result.missing;
        if (number >= put && number < begun && got > 0) ++result.uncertain_there;
        if (number >= begun && got > 0) ++result.never_put;
      }
    }
    return result;
  }

  /// Fails the test for whatever must not be, however many were killed.
  void expect_sound() const {
    EXPECT_EQ(figures_->torn, 0U);
    EXPECT_EQ(figures_->twice, 0U);
    EXPECT_EQ(figures_->out_of_order, 0U);
    EXPECT_EQ(balance().never_put, 0U);
    EXPECT_GT(balance().put, 100U) << "nobody worked";
  }

 private:
  struct Page {
    std::atomic<std::uint32_t> begun;
    std::atomic<std::uint32_t> put;
  };
  struct Figures {
    std::atomic<std::uint32_t> next_page;
    std::atomic<std::uint32_t> torn;
    std::atomic<std::uint32_t> twice;
    std::atomic<std::uint32_t> out_of_order;
  };
  std::uint32_t new_page() const {
    const std::uint32_t page = figures_->next_page++;
    if (page >= pages) throw std::length_error("the books of the queue are full");
    return page;
  }

  mp::RawArray<Page> pages_{pages};
  mp::RawArray<std::atomic<std::uint8_t>> got_{std::size_t{pages} * page_length};
  mp::RawValue<Figures> figures_;
};

/// Processes that go on working while others are killed. Each leaves with 0 unless a call of its
/// own took longer than patience().
class Survivors {
 public:
  Survivors() = default;
  Survivors(const Survivors&) = delete;
  Survivors& operator=(const Survivors&) = delete;
  ~Survivors() {
    for (const pid_t pid : pids_) {
      kill(pid, SIGKILL);
      mp::reap_before(pid, sys::Deadline::never());
    }
  }

  /// Starts a process that calls `work` until it is false or stop() was called. Now and then it
  /// pauses, so that the others find the queue full, or empty.
  void start(const std::function<bool()>& work) {
    pids_.push_back(start_child([&, seed = static_cast<std::uint32_t>(pids_.size())] {
      for (std::uint32_t i = 0; !*stop_; ++i) {
        if (!work()) return 1;
        if (hash(seed, i) % 64 == 0) poll(nullptr, 0, 1);
      }
      return 0;
    }));
  }
  /// Lets them finish what they are at. True when each has.
  bool stop() {
    *stop_ = true;
    bool all = true;
    for (const pid_t pid : pids_) all = exitcode_of(pid) == 0 && all;
    pids_.clear();
    return all;
  }

 private:
  std::vector<pid_t> pids_;
  mp::RawValue<std::atomic<bool>> stop_;
};

/// Kills a child that repeats `work` at a random moment of the next millisecond.
inline void kill_at_random_moment(const std::function<void()>& work, std::mt19937& random) {
  const pid_t victim = start_child([&] {
    for (;;) work();
    return 0;
  });
  const timespec moment{0, static_cast<long>(random() % 1'000'000)};
  nanosleep(&moment, nullptr);
  kill(victim, SIGKILL);
  EXPECT_EQ(exitcode_of(victim), -SIGKILL);
}

/// Lets a child repeat `work` until it is killed at `step`, which it must reach.
inline void kill_at(const std::string& step, unsigned occurrence,
                    const std::function<void()>& work) {
  const KillCount kills;
  const pid_t victim = start_child([&] {
    kill_at_step(step, kills, occurrence);
    for (;;) work();
    return 0;
  });
  EXPECT_EQ(exitcode_of(victim), -SIGKILL) << step;
  EXPECT_EQ(kills.count(), 1U) << step;
}

/// Whether one comes there only when another sleeps in the queue.
inline bool needs_a_sleeper(const std::string& step) {
  return step == "queue.wake.announced" || step.ends_with(".woken");
}

inline unsigned up_to(unsigned limit, std::mt19937& random) {
  return static_cast<unsigned>(random() % limit);
}

/// Where a putter is killed, and whether its message is in the queue then.
struct PutStep {
  const char* name;
  bool is_put;
};
inline constexpr PutStep put_steps[] = {
    {"queue.put.begin", false}, {"queue.put.locked", false},   {"queue.put.copied", false},
    {"queue.put.full", false},  {"queue.put.committed", true}, {"queue.wake.announced", true},
    {"queue.put.woken", true},
};

/// Where a getter is killed, and what becomes of the message.
enum class Fate { stays, lost, in_hand };
struct GetStep {
  const char* name;
  Fate fate;
};
inline constexpr GetStep get_steps[] = {
    {"queue.get.begin", Fate::stays},    {"queue.get.locked", Fate::stays},
    {"queue.get.copied", Fate::stays},   {"queue.get.empty", Fate::stays},
    {"queue.get.committed", Fate::lost}, {"queue.wake.announced", Fate::lost},
    {"queue.get.woken", Fate::lost},     {"queue.get.handed_over", Fate::in_hand},
};

/// A queue of strings with two producers and two consumers that survive, and work for victims. With
/// a small maxsize it is often full, and often empty.
template <typename Queue>
class BusyQueue {
 public:
  /// How a consumer, survivor or victim, goes on after it got a message and entered it.
  using Afterwards = std::function<void()>;

  template <typename... Args>
  explicit BusyQueue(Args... args) : queue_(args...) {}
  /// Once `afterwards` is set.
  void start_survivors() {
    for (int i = 0; i < 2; ++i) {
      producers_.start([this, put = QueueBooks::Producer(books_)]() mutable {
        return put([&](const std::string& text) { return queue_.put(text, patience()); });
      });
      consumers_.start([this, got = QueueBooks::Consumer(books_)]() mutable {
        enter(queue_.get(sys::Deadline::after(std::chrono::milliseconds(100))), got);
        return true;
      });
    }
  }
  void set_afterwards(Afterwards afterwards) { afterwards_ = std::move(afterwards); }
  /// A victim's work: puts for ever.
  std::function<void()> producer() {
    return [this, put = std::optional<QueueBooks::Producer>()]() mutable {
      if (!put) put.emplace(books_);
      (*put)([&](const std::string& text) { return queue_.put(text); });
    };
  }
  /// A victim's work: gets for ever.
  std::function<void()> consumer() {
    return [this, got = QueueBooks::Consumer(books_)]() mutable { enter(queue_.get(), got); };
  }
  /// Ends the survivors and empties the queue. The books can be read then.
  void finish() {
    EXPECT_TRUE(producers_.stop()) << "a survivor hung";
    EXPECT_TRUE(consumers_.stop()) << "a survivor hung";
    QueueBooks::Consumer got(books_);
    while (enter(queue_.get(sys::Deadline::immediately()), got)) continue;
    books_.expect_sound();
  }
  const QueueBooks& books() const { return books_; }
  Queue& queue() { return queue_; }

 private:
  bool enter(const std::optional<std::string>& text, QueueBooks::Consumer& got) {
    if (!text) return false;
    got(*text);
    if (afterwards_) afterwards_();
    return true;
  }

  QueueBooks books_;
  Queue queue_;
  Afterwards afterwards_;
  Survivors producers_;
  Survivors consumers_;
};

}  // namespace forkecho::tests
