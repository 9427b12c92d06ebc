// getaddrinfo in place of glibc's, for targets whose input may be an address: names are not looked
// up, and no resolver is asked for what a fuzzer makes up.
#include <dlfcn.h>
#include <netdb.h>

extern "C" int getaddrinfo(const char* host, const char* port, const addrinfo* hints,
                           addrinfo** found) {
  using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto glibc = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "getaddrinfo"));
  addrinfo numbers_only = *hints;
  numbers_only.ai_flags |= AI_NUMERICHOST;
  return glibc(host, port, &numbers_only, found);
}
