# shellcheck shell=bash
# The image that ours are built in: pulled, or made from Debian's packages where no registry is reached.
# Read by compose.sh; needs words.sh, rights.sh and `logs`; remove_scratch must run at the end.
# shellcheck disable=SC2154

readonly suite=bookworm
readonly base_image=debian:$suite-slim
scratch=  # where debootstrap works

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
  local tree mirror
  scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/forkecho-base.XXXXXX")
  tree=$scratch/tree
  repositories >"$scratch/sources.list"
  mirror=$(awk -v suite=$suite '$3 == suite { print $2; exit }' "$scratch/sources.list")
  logged debootstrap bootstrap_tree "$tree" "$mirror"
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
