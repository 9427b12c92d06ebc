// PROVES names what a test is evidence for: a row of tests/seed_rows.tsv ("3.7"), or a test case of
// CPython's own suite that is ported here ("cpython:test_close"). tests/seed_rows_test.py reads the
// names from the sources, prints the table, and fails when a row has no test.
#pragma once

#include <gtest/gtest.h>

/// At the beginning of a test's body; as many names as it proves, each a string literal.
#define PROVES(...)                              \
  for (const char* const proven : {__VA_ARGS__}) \
  ::testing::Test::RecordProperty(std::string("proves_") + proven, 1)
