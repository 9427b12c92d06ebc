#!/usr/bin/env bash
# The load test in containers, from whatever state this machine is in: finds an engine, or installs
# and starts one, builds the images, runs docker-compose.yml, and takes everything down again. What is
# there already is not done twice; an engine that was running keeps running.
#
# Called by `./dev compose`. Settings: docker/.env. Leaves docker/out/report.json and report.html.
# Exit code: the load's; where it came to no load, 64 usage, 69 no engine, 71 anything else.
#
# Functions are also called through `logged` and `trap`, which shellcheck does not follow:
# shellcheck disable=SC2317
set -euo pipefail

readonly exit_usage=64 exit_no_engine=69 exit_system=71
readonly suite=bookworm
readonly base_image=debian:$suite-slim
# The user of a load that root starts: it owns nothing, and the images use the same number.
readonly nobody=65532:65532
readonly build_needs_mib=2048 report_needs_mib=16

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly out=$root/docker/out logs=$root/build/compose

engine_pid=     # of the dockerd that this script started as its child
engine_unit=    # set where this script had systemd start the engine
engine_up=      # set once an engine answers
scratch=        # where debootstrap works

# ---- words ------------------------------------------------------------------------------------

say() { printf 'compose: %s\n' "$*" >&2; }

fail() {
  local code=$1
  shift
  say "$*"
  exit "$code"
}

# Known reasons, as one line with the remedy; of others, where to read on.
explain() {
  local log=$1 last
  if grep -qi 'no space left on device' "$log"; then
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
    last=$(grep -v '^[[:space:]]*$' "$log" | tail -n 1) || true
    echo "${last:-it said nothing}"
  fi
}

# logged NAME COMMAND...: its output goes to a log; where it fails, the script ends with one line.
logged() {
  local log=$logs/$1.log name=$1
  shift
  rm -f "$log"
  "$@" >"$log" 2>&1 || fail "$exit_system" "$name failed: $(explain "$log") (log: $log)"
}

# ---- rights -----------------------------------------------------------------------------------

is_root() { [ "$(id -u)" -eq 0 ]; }

can_sudo() { command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; }

# Starts this script anew as root, with the settings that sudo would drop; nothing was done yet.
become_root() {
  local why=$1 name settings=()
  is_root && return
  can_sudo || fail "$exit_no_engine" "$why: run it as root, or with sudo"
  say "$why: going on with sudo"
  for name in $(compgen -e | grep -E '^(FORKECHO_|COMPOSE_|(http|https|no)_proxy$)'); do
    settings+=("$name=${!name}")
  done
  exec sudo -- env "${settings[@]}" bash "$root/docker/compose.sh"
}

# Who shall own what this run leaves: whoever called, also through sudo.
caller_ids() {
  if [ -n "${SUDO_UID:-}" ]; then
    echo "$SUDO_UID:${SUDO_GID:-$SUDO_UID}"
  elif is_root; then
    echo 0:0
  else
    echo "$(id -u):$(id -g)"
  fi
}

make_folder() {
  mkdir -p "$1" || fail "$exit_system" "$1 cannot be made: see the line above"
  if is_root; then chown "$2" "$1"; fi
}

# Two runs would take each other's containers down. The descriptor stays open until the script ends.
lock_or_fail() {
  exec 9<"$logs"
  flock --nonblock 9 || fail "$exit_system" "another run of it is under way: wait for it to end"
}

# ---- packages ---------------------------------------------------------------------------------

install_packages() {
  [ -e /etc/debian_version ] ||
    fail "$exit_no_engine" "no $1 here, and only on Debian can it be installed for you: install it"
  become_root "$* must be installed"
  say "installing $*"
  export DEBIAN_FRONTEND=noninteractive
  logged "apt-get update" apt-get update
  logged "apt-get install" apt-get -o DPkg::Lock::Timeout=120 install --yes --no-install-recommends "$@"
}

# ---- the engine -------------------------------------------------------------------------------

engine_answers() {
  rm -f "$logs/engine-asked.log"
  timeout 20 docker version --format '{{.Server.Version}}' >"$logs/engine-asked.log" 2>&1
}

ensure_engine() {
  if ! command -v docker >/dev/null; then install_packages docker.io; fi
  if ! engine_answers; then
    refuse_foreign_engine
    become_root "no container engine answers"
    if ! command -v dockerd >/dev/null; then install_packages docker.io; fi
    start_engine
  fi
  engine_up=yes
}

# An engine that was chosen on purpose is not silently replaced by one of our own.
refuse_foreign_engine() {
  [ -z "${DOCKER_HOST:-}" ] ||
    fail "$exit_no_engine" "the engine at DOCKER_HOST=$DOCKER_HOST does not answer: start it, or unset DOCKER_HOST"
}

start_engine() {
  say "no container engine answers: starting one"
  if [ -d /run/systemd/system ]; then
    logged "systemctl start docker" systemctl start docker
    engine_unit=docker
    engine_answers && return
  else
    # As its maker meant it; then for a kernel without address translation (the load's network needs
    # none, and builds use this machine's); then for a file system that overlays cannot lie on.
    try_engine && return
    try_engine --iptables=false --ip6tables=false && return
    try_engine --iptables=false --ip6tables=false --storage-driver=vfs && return
  fi
  fail "$exit_no_engine" "the container engine cannot be started: $(engine_complaint) (log: $logs/engine.log)"
}

# In a session of its own, so that Ctrl-C at the terminal does not end it before its containers.
try_engine() {
  rm -f "$logs/engine.log"
  setsid dockerd "$@" >"$logs/engine.log" 2>&1 9>&- &
  engine_pid=$!
  local tries=120
  while [ $((tries--)) -gt 0 ] && kill -0 "$engine_pid" 2>/dev/null; do
    engine_answers && return
    sleep 0.25
  done
  say "dockerd $* did not come up: $(engine_complaint)"
  stop_engine
  return 1
}

engine_complaint() {
  local last
  [ -s "$logs/engine.log" ] || { explain "$logs/engine-asked.log"; return; }
  last=$(grep -E '^failed to start|level=(fatal|error)' "$logs/engine.log" | tail -n 1) || true
  case $last in
    *"evices cgroup isn't mounted"*) echo "control groups are not mounted: mount them (package cgroupfs-mount)" ;;
    *"peration not permitted"*) echo "this machine does not let root do it (a container itself?): ${last#*msg=}" ;;
    '') explain "$logs/engine.log" ;;
    *) echo "$last" ;;
  esac
}

# Only ever the one that this script started.
stop_engine() {
  if [ -n "$engine_pid" ]; then
    kill -TERM "$engine_pid" 2>/dev/null || true
    wait "$engine_pid" 2>/dev/null || true
  fi
  if [ -n "$engine_unit" ]; then systemctl stop docker.service docker.socket; fi
  engine_pid='' engine_unit='' engine_up=''
}

# ---- compose ----------------------------------------------------------------------------------

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

# ---- images -----------------------------------------------------------------------------------

has_image() { docker image inspect "$1" >/dev/null 2>&1; }

ensure_base_image() {
  if has_image "$base_image"; then return; fi
  say "fetching $base_image"
  if timeout 300 docker pull --quiet "$base_image" >"$logs/pull.log" 2>&1; then return; fi
  say "no registry gives it: making $base_image with debootstrap"
  if ! command -v debootstrap >/dev/null; then install_packages debootstrap; fi
  become_root "debootstrap works only for root"
  make_base_image
}

make_base_image() {
  local tree
  scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/forkecho-base.XXXXXX")
  tree=$scratch/tree
  repositories >"$scratch/sources.list"
  logged debootstrap bootstrap_tree "$tree" "$(awk -v suite=$suite '$3 == suite { print $2; exit }' "$scratch/sources.list")"
  carry_package_settings "$tree"
  rm -rf "$tree"/var/cache/apt/*.bin "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/*
  logged "docker import" import_tree "$tree"
  remove_scratch
}

# Debian's repositories as this machine reaches them, one `deb URI RELEASE COMPONENT` a line.
repositories() {
  local format="deb \$(REPO_URI) \$(RELEASE) \$(COMPONENT)"
  [ -n "$(debian_targets "$format")" ] || logged "apt-get update" apt-get update
  debian_targets "$format"
}

debian_targets() {
  apt-get indextargets --format "\$(ORIGIN) \$(CODENAME) $1" 'Created-By: Packages' |
    sed -nE "s/^Debian ${suite}[^ ]* (deb https?:)/\1/p" | sort -u
}

# debootstrap itself knows nothing of apt's proxy.
bootstrap_tree() {
  local tree=$1 mirror=$2 proxy=
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  http_proxy=${http_proxy:-$proxy} debootstrap --variant=minbase "$suite" "$tree" ${mirror:+"$mirror"}
}

# What lets apt-get reach its repositories here lets it do so in the image: a local mirror, a proxy,
# an authority of one's own, a clock that is wrong.
carry_package_settings() {
  local tree=$1
  if [ -s "$scratch/sources.list" ]; then cp "$scratch/sources.list" "$tree/etc/apt/sources.list"; fi
  apt-config dump | grep -E '^Acquire::(https?|Check|Retries)' >"$tree/etc/apt/apt.conf.d/90host" || true
  if grep -q ' https:' "$tree/etc/apt/sources.list" && [ -e /etc/ssl/certs/ca-certificates.crt ]; then
    install -D -m 0644 /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/ca-certificates.crt"
  fi
}

import_tree() {
  tar --directory "$1" --create --one-file-system . |
    docker import --change 'CMD ["bash"]' --change 'LABEL made-by=debootstrap' - "$base_image"
}

# debootstrap that was interrupted leaves file systems mounted in its tree.
remove_scratch() {
  [ -n "$scratch" ] || return 0
  awk -v at="$scratch/" 'index($2, at) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount
  rm -rf --one-file-system "$scratch"
  scratch=
}

# The machine's own network: packages come by the way that works here, be it a proxy on loopback.
build_image() {
  local target=$1 name arguments=()
  for name in http_proxy https_proxy no_proxy; do
    if [ -n "${!name:-}" ]; then arguments+=(--build-arg "$name"); fi
  done
  docker build --network host --file "$root/docker/Dockerfile" --target "$target" \
    --tag "forkecho/$target" "${arguments[@]}" "$root"
}

build_images() {
  local target
  has_image forkecho/client || need_room "$(docker info --format '{{.DockerRootDir}}')" $build_needs_mib "to build the images"
  for target in server client; do
    say "building the image forkecho/$target (minutes at first; log: $logs/build-$target.log)"
    logged "build-$target" build_image "$target"
  done
}

# ---- the run ----------------------------------------------------------------------------------

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
  compose up --no-build --force-recreate --remove-orphans --abort-on-container-exit \
    --exit-code-from load >"$log" 2>&1 || true
  state=$(state_of load)
  case $state in
    exited\ *) load_code=${state#exited } ;;
    *) fail "$exit_system" "the containers did not run: $(explain "$log") (log: $log)" ;;
  esac
}

# state_of SERVICE: "exited CODE", "running 0" or such; nothing where it has no container.
state_of() {
  local container
  container=$(compose ps --all --quiet "$1" 2>/dev/null) || return 0
  [ -z "$container" ] || docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$container"
}

show_load() { compose logs --no-color --no-log-prefix load; }

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
