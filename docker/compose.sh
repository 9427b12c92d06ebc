#!/usr/bin/env bash
# The load test in containers, from whatever state this machine is in: finds an engine, or installs
# and starts one, builds the images, runs docker-compose.yml or stack.yml, and takes everything down
# again. What is there already is not done twice; an engine that was running keeps running.
#
# Called by `./dev compose [quick|full|monitor|stack|test]`. Settings: docker/.env. Leaves in docker/out/
# report.json, report.html and the servers' last statuses. FORKECHO_IMAGES=present: the images are not
# built again. Exit code: the load's (of test: the tests'); where it came to no load, 64 usage, 69 no
# engine, 71 anything else.
#
# Functions are also called through `logged` and `trap`, and names are used in compose/, which the
# linter does not follow:
# shellcheck disable=SC2317,SC2034
set -euo pipefail

readonly exit_usage=64 exit_no_engine=69 exit_system=71
# The user of a load that root starts: it owns nothing, and the images use the same number.
readonly nobody=65532:65532
readonly build_needs_mib=2048 report_needs_mib=16

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly out=$root/docker/out logs=$root/build/compose

for part in words rights engine base_image servers stack tests; do
  # shellcheck source=/dev/null
  source "$root/docker/compose/$part.sh"
done

ensure_compose() {
  if ! docker compose version >/dev/null 2>&1 && ! command -v docker-compose >/dev/null; then
    install_packages docker-compose
  fi
}

compose() {
  if docker compose version >/dev/null 2>&1; then
    docker compose --file "$root/docker/docker-compose.yml" "$@"
  else
    docker-compose --file "$root/docker/docker-compose.yml" "$@"
  fi
}

# The machine's own network: packages come by the way that works here, be it a proxy on loopback.
build_image() {
  local target=$1 name arguments=()
  for name in http_proxy https_proxy no_proxy; do
    if [ -n "${!name:-}" ]; then arguments+=(--build-arg "$name"); fi
  done
  docker build --force-rm --network host --file "$root/docker/Dockerfile" --target "$target" \
    --tag "forkecho/$target" "${arguments[@]}" "$root"
}

build_images() {
  local target
  if [ "${FORKECHO_IMAGES:-}" = present ]; then return; fi
  need_room_for_images
  ensure_base_image
  say "building the images (minutes at first, log: $logs/build-*.log)"
  for target in build server client; do
    logged "build-$target" build_image "$target"
  done
  if uses_monitor; then logged build-monitor build_monitor_image; fi
  remove_old_images
}

build_monitor_image() {
  docker build --force-rm --network host --tag forkecho/monitor "$root/docker/monitor"
}

uses_monitor() { [ "$verb" = monitor ] || [ "$verb" = test ]; }

# Those that the new ones have replaced. The build stage has a tag, so that it stays: it is the cache.
remove_old_images() { docker image prune --force --filter label=forkecho.stage >"$logs/prune.log" 2>&1 || true; }

need_room_for_images() {
  if has_image forkecho/client; then return; fi
  need_room "$(docker info --format '{{.DockerRootDir}}')" $build_needs_mib "to build the images"
}

# A folder that is not on this machine (a remote engine's) cannot be judged from here.
need_room() {
  local folder=$1 needed=$2 purpose=$3 free
  [ -d "$folder" ] || return 0
  free=$(df --block-size=1M --output=avail "$folder" | tail -n 1)
  [ "$free" -ge "$needed" ] ||
    fail "$exit_system" "the disk is full: $folder has $((free)) MiB free, $needed are needed $purpose"
}

prepare_out() {
  local owner
  owner=$(load_user)
  make_folder "$out" "$owner"
  [ -w "$out" ] || fail "$exit_system" "$out belongs to somebody else: remove it, or run this as its owner"
  need_room "$out" $report_needs_mib "for the reports"
  rm -f "$out/report.json" "$out/report.html"
}

# In a rootless engine, root is whoever started that engine, and other numbers are nobody here.
load_user() {
  if docker info --format '{{.SecurityOptions}}' | grep -q rootless; then
    echo 0:0
  elif [ "$(caller_ids)" = 0:0 ]; then
    echo "$nobody"
  else
    caller_ids
  fi
}

use_one_processor_if_there_is_no_other() {
  if [ "$(nproc --all)" -eq 1 ]; then export FORKECHO_CLIENT_CPUS=${FORKECHO_CLIENT_CPUS:-0}; fi
}

# Sets load_code.
run_load() {
  local log=$logs/up.log container
  FORKECHO_USER=${FORKECHO_USER:-$(load_user)}
  COMPOSE_PROFILES=$load
  if uses_monitor; then COMPOSE_PROFILES+=,monitor; fi
  export FORKECHO_USER COMPOSE_PROFILES
  use_one_processor_if_there_is_no_other
  say "driving the servers, profile $COMPOSE_PROFILES (log: $log)"
  rm -f "$log"
  compose up --detach --no-build --force-recreate --remove-orphans >"$log" 2>&1 ||
    fail "$exit_system" "the containers did not run: $(explain "$log") (log: $log)"
  container=$(container_of "$load")
  [ -n "$container" ] || fail "$exit_system" "the load has no container: $(explain "$log") (log: $log)"
  load_code=$(end_of "$container")
  docker logs "$container"
}

# end_of CONTAINER: its exit code, once it has ended. In the background, so that a signal is heard.
end_of() {
  docker wait "$1" &
  wait $!
}

check_monitor() {
  if ! uses_monitor; then return; fi
  say "what Prometheus has kept:"
  docker exec "$(container_of prometheus)" /check ||
    fail "$exit_system" "Prometheus has not kept the series of every server (see the table above)"
}

container_of() { compose ps --all --quiet "$1" 2>/dev/null || true; }

# state_of SERVICE: "exited CODE", "running 0" or such; nothing where it has no container.
state_of() {
  local container
  container=$(container_of "$1")
  [ -z "$container" ] || docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$container"
}

check_reports() {
  local report
  for report in "$out/report.json" "$out/report.html"; do
    if [ -s "$report" ]; then
      say "$report"
    elif [ "$load_code" -eq 0 ]; then
      fail "$exit_system" "$report is missing, although the load ended with 0"
    else
      say "no $report was written: see the load's output above"
    fi
  done
}

take_down() {
  trap '' INT TERM
  if [ -n "$engine_up" ]; then
    remove_stack
    COMPOSE_PROFILES=quick,full,monitor compose down --volumes --remove-orphans >"$logs/down.log" 2>&1 ||
      say "the containers could not be taken down: $(explain "$logs/down.log")"
  fi
  if [ -n "$engine_pid$engine_unit" ]; then
    say "stopping the engine that was started"
    stop_engine
  fi
  remove_scratch
}

drive() {
  prepare_out
  run_load
  check_monitor
  stop_servers
  check_reports
  check_books
}

main() {
  arguments=("$@")
  verb=${1:-quick}
  load=quick
  case $verb in
    quick | monitor | stack | test) ;;
    full) load=full ;;
    *) fail "$exit_usage" "'$verb' is none of quick, full, monitor, stack, test; settings are in docker/.env" ;;
  esac
  [ $# -le 1 ] || [ "$verb" = test ] || fail "$exit_usage" "one word at most; settings are in docker/.env"
  make_folder "$root/build" "$(caller_ids)"
  make_folder "$logs" "$(caller_ids)"
  lock_or_fail
  trap take_down EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  ensure_engine
  ensure_compose
  build_images
  case $verb in
    stack) drive_stack ;;
    test) run_tests "${@:2}" ;;
    *) drive ;;
  esac
  say "the ${what_ended:-load} ended with $load_code"
  exit "$load_code"
}

main "$@"
