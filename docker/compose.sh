#!/usr/bin/env bash
# The load test in containers, from whatever state this machine is in: finds an engine, or installs
# and starts one, builds the images, runs docker-compose.yml, and takes everything down again. What is
# there already is not done twice; an engine that was running keeps running.
#
# Called by `./dev compose`. Settings: docker/.env. Leaves docker/out/report.json and report.html.
# Exit code: the load's; where it came to no load, 64 usage, 69 no engine, 71 anything else.
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

for part in words rights engine base_image; do
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
  say "building the images (minutes at first, log: $logs/build-*.log)"
  for target in build server client; do
    logged "build-$target" build_image "$target"
  done
  remove_old_images
}

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

# Sets load_code. Compose's own exit code could be compose's own failure: the container's is asked.
run_load() {
  local log=$logs/up.log state
  FORKECHO_USER=${FORKECHO_USER:-$(load_user)}
  export FORKECHO_USER
  use_one_processor_if_there_is_no_other
  say "driving the servers (log: $log)"
  rm -f "$log"
  compose up --no-color --no-build --force-recreate --remove-orphans --abort-on-container-exit \
    --exit-code-from load >"$log" 2>&1 || true
  state=$(state_of load)
  case $state in
    exited\ *) load_code=${state#exited } ;;
    *) fail "$exit_system" "the containers did not run: $(explain "$log") (log: $log)" ;;
  esac
}

container_of() { compose ps --all --quiet "$1" 2>/dev/null || true; }

# state_of SERVICE: "exited CODE", "running 0" or such; nothing where it has no container.
state_of() {
  local container
  container=$(container_of "$1")
  [ -z "$container" ] || docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$container"
}

show_load() { docker logs "$(container_of load)"; }

# A server drains and ends with 0 when it is stopped; anything else is worth a line.
show_servers_that_failed() {
  local service state
  for service in fork pool; do
    state=$(state_of "$service")
    [ "$state" = "exited 0" ] || say "the server $service did not end well ($state): see $logs/up.log"
  done
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
    compose down --volumes --remove-orphans >"$logs/down.log" 2>&1 ||
      say "the containers could not be taken down: $(explain "$logs/down.log")"
  fi
  if [ -n "$engine_pid$engine_unit" ]; then
    say "stopping the engine that was started"
    stop_engine
  fi
  remove_scratch
}

main() {
  [ $# -eq 0 ] || fail "$exit_usage" "it takes no arguments; its settings are in docker/.env"
  make_folder "$root/build" "$(caller_ids)"
  make_folder "$logs" "$(caller_ids)"
  lock_or_fail
  trap take_down EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  ensure_engine
  ensure_compose
  need_room_for_images
  ensure_base_image
  build_images
  prepare_out
  run_load
  show_load
  show_servers_that_failed
  check_reports
  say "the load ended with $load_code"
  exit "$load_code"
}

main "$@"
