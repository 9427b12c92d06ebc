# shellcheck shell=bash
# What the user is told: progress, and failures as one line with the remedy. Everything on stderr, since
# stdout is the load's. Read by compose.sh; needs `logs` and `exit_system`.
# shellcheck disable=SC2154

# A trap can run while a function's output goes to a log; its words go to the user all the same.
exec 8>&2

say() { printf 'compose: %s\n' "$*" >&8; }

fail() {
  local code=$1
  shift
  say "$*"
  exit "$code"
}

# Known reasons, as one line with the remedy; of others, the line that says most.
explain() {
  local log=$1
  if grep -qiE "no space left on device|don't have enough free space" "$log"; then
    echo "the disk is full: free some space, for instance with: docker system prune"
  elif grep -qiE 'permission denied.*docker\.sock|docker\.sock.*permission denied' "$log"; then
    echo "no permission to use the container engine: run it as root, or add yourself to the group docker"
  elif grep -qiE 'address already in use|port is already allocated' "$log"; then
    echo "a port is taken: $(grep -iEm1 'address already in use|port is already allocated' "$log")"
  elif grep -qi 'non-overlapping IPv4 address pool' "$log"; then
    echo "no address range is left for one more container network: docker network prune"
  elif grep -qiE 'temporary failure resolving|could not resolve|could not connect|unable to connect' "$log"; then
    echo "Debian's packages cannot be reached: check the network, and the proxy if there is one"
  elif grep -qi 'could not get lock' "$log"; then
    echo "another package manager is at work: wait for it to end"
  elif grep -qiE 'requested CPUs are not available|Range of CPUs' "$log"; then
    echo "this machine has no such processor: set FORKECHO_SERVER_CPUS and FORKECHO_CLIENT_CPUS in docker/.env"
  else
    telling_line "$log"
  fi
}

# The first that says error, or else the last but for the engine's own, which repeats the whole command.
telling_line() {
  local lines line
  lines=$(sed -e $'s/\x1b\\[[0-9;]*[A-Za-z]//g' -e '/^[[:space:]]*$/d' -e "/^The command '/d" -e '/^Removing intermediate/d' "$1")
  line=$(grep -E -m 1 '(^|[^[:alpha:]])([Ee]rror:|ERROR|E:|CMake Error) ' <<<"$lines") || line=${lines##*$'\n'}
  echo "${line:-it said nothing}"
}

# logged NAME COMMAND...: its output goes to a log; where it fails, the script ends with one line.
logged() {
  local log=$logs/${1// /-}.log name=$1
  shift
  rm -f "$log"
  "$@" >"$log" 2>&1 || fail "$exit_system" "$name failed: $(explain "$log") (log: $log)"
}
