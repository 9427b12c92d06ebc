# shellcheck shell=bash
# Who runs this, how it becomes root where it must, and what it installs then. Read by compose.sh; needs
# words.sh, `root` and `exit_no_engine`.
# shellcheck disable=SC2154

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
  exec sudo -- env "${settings[@]}" bash "$root/docker/compose.sh" "${arguments[@]}"
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

install_packages() {
  [ -e /etc/debian_version ] ||
    fail "$exit_no_engine" "no $1 here, and only on Debian can it be installed for you: install it"
  become_root "$* must be installed"
  say "installing $*"
  export DEBIAN_FRONTEND=noninteractive
  logged "apt-get update" apt-get update
  logged "apt-get install" apt-get -o DPkg::Lock::Timeout=120 install --yes --no-install-recommends "$@"
}
