#include "client/embedded_files.h"

// The assembler puts the files in whole (.incbin): no generated source, no limit on a literal's
// length. Their paths come from CMakeLists.txt.
// NOLINTBEGIN(bugprone-macro-parentheses): the symbol is a name that is declared.
#define FORKECHO_EMBED(symbol, path)                      \
  asm(".section .rodata\n"                                \
      ".balign 16\n"                                      \
      ".globl " #symbol "\n" #symbol ":\n.incbin \"" path \
      "\"\n"                                              \
      ".globl " #symbol "_end\n" #symbol                  \
      "_end:\n"                                           \
      ".byte 0\n"                                         \
      ".previous\n");                                     \
  extern "C" const char symbol[];                         \
  extern "C" const char symbol##_end[]
// NOLINTEND(bugprone-macro-parentheses)

FORKECHO_EMBED(forkecho_html_template, FORKECHO_HTML_TEMPLATE);
FORKECHO_EMBED(forkecho_chart_js, FORKECHO_CHART_JS);

namespace forkecho::client {

std::string_view embedded_html_template() {
  return {forkecho_html_template, forkecho_html_template_end};
}

std::string_view embedded_chart_js() {
  return {forkecho_chart_js, forkecho_chart_js_end};
}

}  // namespace forkecho::client
