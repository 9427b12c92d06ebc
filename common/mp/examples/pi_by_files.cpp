// π by ten processes, each of which leaves its sum in a file named by its pid; main reads and
// deletes them.
//
//   pi_by_files [TERMS]       100000000 unless given
#include <fstream>
#include <vector>

#include "common/mp/examples/pi.h"
#include "common/mp/examples/scratch_directory.h"
#include "common/mp/process.h"

namespace mp = forkecho::mp;
using namespace forkecho::examples;

namespace {

using Path = std::filesystem::path;

Path file_of(const Path& directory, pid_t pid) {
  return directory / std::to_string(pid);
}

double take_number(const Path& path) {
  std::ifstream file(path);
  file.exceptions(std::ios::failbit | std::ios::badbit);
  std::string text;
  file >> text;
  std::filesystem::remove(path);
  return std::stod(text);
}

double pi_by_files(long terms) {
  const ScratchDirectory directory;
  std::vector<mp::Process> workers;
  for (int i = 0; i < slices; ++i) {
    workers.emplace_back([&directory, terms, i] {
      std::ofstream(file_of(directory.path(), getpid())) << shortest(sum_of(slice(terms, i)));
    });
    workers.back().start();
  }
  std::array<double, slices> sums;
  for (int i = 0; i < slices; ++i) {
    workers[i].join();
    sums[i] = take_number(file_of(directory.path(), *workers[i].pid()));
  }
  using Files = std::filesystem::directory_iterator;
  say("files left: ", std::distance(Files(directory.path()), Files()));
  return pi_from(sums);
}

}  // namespace

int main(int argc, char** argv) {
  compare_with_one_process("ten processes, files", pi_by_files,
                           number_argument(argc, argv, 1, default_terms));
  say("The document: writes into whatever folder it was started in, over a file that is named "
      "by the same number.");
}
