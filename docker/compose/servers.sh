# shellcheck shell=bash
# The servers' end: stopped, drained, their last statuses fetched and held against what the client
# counted. Read by compose.sh; needs words.sh, `compose`, `container_of`, `state_of`, `out`, `logs`.
# shellcheck disable=SC2154

readonly servers=(fork pool-shared pool-single-use event)

# A server drains and ends with 0 when it is stopped; anything else is worth a line.
stop_servers() {
  local service state
  logged "stopping the servers" compose stop
  compose logs --no-color >"$logs/servers.log" 2>&1 || true
  for service in "${servers[@]}"; do
    state=$(state_of "$service")
    [ "$state" = "exited 0" ] || say "the server $service did not end well ($state): see $logs/servers.log"
  done
  fetch_last_statuses "$(container_of fork)"
}

# fetch_last_statuses CONTAINER: of any that has the volume.
fetch_last_statuses() {
  rm -rf "$out/servers"
  make_folder "$out/servers" "$(caller_ids)"
  logged "fetching the servers' last statuses" docker cp "$1:/final/." "$out/servers"
}

# "NAME CONNECTIONS" of each design of a comparison; of a run, "run CONNECTIONS".
counted_by_client() {
  awk -F'"' '/^      "name":/ { name = $4 }
    /^ *"totals": \{/ { getline; gsub(/[^0-9]/, ""); print (name == "" ? "run" : name), $0 }' "$1"
}

# The connections that a server accepted, by its last status.
accepted_by() { sed -n 's/.*"connections":{"accepted":\([0-9]*\),.*/\1/p' "$1"; }

# To each other's counts nothing may be missing, the warm-up included.
check_books() {
  local name counted accepted
  [ "$load_code" -eq 0 ] || return 0
  while read -r name counted; do
    accepted=$(accepted_by "$out/servers/$name.json" 2>/dev/null) || true
    [ "$accepted" = "$counted" ] ||
      fail "$exit_system" "$name accepted ${accepted:-no known number of} connections, its client counted $counted"
    say "$name: the client's $counted connections are what the server accepted"
  done < <(counted_by_client "$out/report.json")
}
