# shellcheck shell=bash
# The tests of the load test in containers: tests/compose/*_test.py, against the engine and the images
# that compose.sh has made sure of. Read by compose.sh.
# shellcheck disable=SC2154,SC2034

# run_tests [PATTERN]: of the test files, *_test.py. Sets load_code.
run_tests() {
  command -v python3 >/dev/null || install_packages python3
  what_ended=tests
  load_code=0
  # Each test has a project of its own; the settings of this run are not for them.
  env --unset=COMPOSE_PROJECT_NAME --unset=COMPOSE_PROFILES \
    python3 -m unittest discover --verbose --start-directory "$root/tests/compose" --pattern "${1:-*_test.py}" ||
    load_code=1
}
