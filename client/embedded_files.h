// Files that are part of the program: the page's template and Chart.js, put in at build time, so
// that a report needs nothing but the one file that it is. Constant; safe everywhere.
#pragma once

#include <string_view>

namespace forkecho::client {

/// client/html_report_template.html
std::string_view embedded_html_template();
/// Debian's chart.min.js (libjs-chart.js), MIT licence.
std::string_view embedded_chart_js();

}  // namespace forkecho::client
