// A class that is a process: it is given text over a Pipe and gives it back in upper case.
//
//   uppercase_over_pipe [TEXT...]
#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/mp/connection.h"
#include "common/mp/examples/say.h"
#include "common/mp/process.h"

namespace mp = forkecho::mp;
using forkecho::examples::say;

namespace {

/// Of ASCII alone; server/uppercase.h knows the rest of Unicode.
char upper(char letter) {
  return letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;
}

class UpperCaser final : public mp::Process {
 public:
  void begin() {
    start();
    ends_.second.close();
  }
  /// `text` in upper case.
  std::string submit(const std::string& text) {
    ends_.first.send(text);
    return ends_.first.recv<std::string>().value();
  }
  /// The child finds the pipe at its end, and returns.
  void stop() {
    ends_.first.close();
    join();
  }

 protected:
  void run() override {
    ends_.first.close();
    while (auto text = ends_.second.recv<std::string>()) {
      std::transform(text->begin(), text->end(), text->begin(), upper);
      ends_.second.send(*text);
    }
  }

 private:
  mp::Pipe ends_;
};

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> texts(argv + 1, argv + argc);
  if (texts.empty()) texts = {"hello", "a process for every connection"};
  UpperCaser caser;
  caser.begin();
  for (const std::string& text : texts) say(text, " -> ", caser.submit(text));
  caser.stop();
  say("the child left with ", *caser.exitcode());
}
