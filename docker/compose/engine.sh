# shellcheck shell=bash
# The container engine: found, or installed and started; and stopped again, if it was started here. Read
# by compose.sh; needs words.sh, rights.sh and `logs`. Sets engine_up once an engine answers.
# shellcheck disable=SC2154,SC2034

engine_pid=   # of the dockerd that was started as this script's child
engine_unit=  # set where systemd was told to start the engine
engine_up=    # set once an engine answers

engine_answers() {
  rm -f "$logs/engine-asked.log"
  timeout 20 docker version --format '{{.Server.Version}}' >"$logs/engine-asked.log" 2>&1
}

ensure_engine() {
  if ! command -v docker >/dev/null; then install_packages docker.io; fi
  if ! engine_answers; then
    refuse_foreign_engine
    become_root "$(why_no_engine)"
    if ! command -v dockerd >/dev/null; then install_packages docker.io; fi
    start_engine
  fi
  engine_up=yes
}

why_no_engine() {
  if grep -qi 'permission denied' "$logs/engine-asked.log" 2>/dev/null; then
    echo "no permission to use the container engine (the group docker has it)"
  else
    echo "no container engine answers"
  fi
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
    # As it is meant; then for a kernel that has only the other one of iptables' two forms; then for a
    # disk that overlays cannot lie on. Not without iptables: containers' names need it.
    try_engine && return
    use_other_iptables && try_engine && return
    try_engine --storage-driver=vfs && return
  fi
  fail "$exit_no_engine" "the container engine cannot be started: $(engine_complaint) (log: $logs/engine.log)"
}

# In a session of its own, so that Ctrl-C at the terminal does not end it before its containers.
try_engine() {
  rm -f "$logs/engine.log"
  setsid dockerd "$@" >"$logs/engine.log" 2>&1 8>&- 9>&- &
  engine_pid=$!
  local tries=120
  while [ $((tries--)) -gt 0 ] && kill -0 "$engine_pid" 2>/dev/null; do
    engine_answers && return
    sleep 0.25
  done
  say "dockerd${*:+ $*} did not come up: $(engine_complaint)"
  stop_engine
  return 1
}

# For what this script starts; the system's own choice stays as it is.
use_other_iptables() {
  local other=legacy bin=$logs/iptables
  if iptables --version 2>/dev/null | grep -q legacy; then other=nft; fi
  other=$(command -v "xtables-$other-multi") || return 1
  mkdir -p "$bin"
  ln -sf "$other" "$bin/iptables"
  ln -sf "$other" "$bin/ip6tables"
  PATH=$bin:$PATH
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
