// Reload: HUP, and `forkechod reload`. The configuration is read again, from the same command line
// and the file that it names; what cannot change is named in the log and kept (reconfiguration.h);
// everything else takes effect by a new generation of processes. A configuration that cannot be
// used, or a generation that does not come up, changes nothing.
//
// One at a time: what is asked for while one is under way is done after it, once for all that have
// asked by then, with the file as it is then. The supervisor alone uses it; nothing here blocks,
// but for reading the file.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "server/generations.h"
#include "server/listener.h"

namespace forkecho::server {

class Reload {
 public:
  /// What the control socket answers: "ok\n", or "error: ...\n". May be empty: a signal's.
  using Answer = std::function<void(std::string)>;
  Reload(Generations& generations, std::span<const Listener> listeners)
      : generations_(generations), listeners_(listeners) {}

  void ask(Answer answer);
  /// On every tick: begins what was asked for meanwhile.
  void keep_going();
  /// The daemon drains or ends: what is under way ends at once, what waits is refused.
  void give_up();
  /// Something is under way, or waits: then a tick should come soon.
  bool is_busy() const { return generations_.is_replacing() || !waiting_.empty(); }

 private:
  void begin();
  void take_over(const Options& options);
  void conclude(const std::string& error, const Options& before, const Options& wanted);
  void answer_all(const std::string& text);

  Generations& generations_;
  std::span<const Listener> listeners_;
  std::vector<Answer> waiting_;
  std::vector<Answer> served_;  // by the one that is under way
  bool over_ = false;
};

}  // namespace forkecho::server
