# shellcheck shell=bash
# stack.yml on this machine alone: a swarm of one node, the load clients' common start, the report, and
# the end of it all. Read by compose.sh; needs words.sh, servers.sh, `root`, `out`, `logs`.
# shellcheck disable=SC2154,SC2034

readonly stack_lead_s=20 # from now to the common start: for all containers to be there
swarm_made=              # set where this machine was made a swarm here
stack_up=                # the stack's name, once it was deployed

drive_stack() {
  local report service
  prepare_out
  read_settings
  use_swarm
  stack_up=$COMPOSE_PROJECT_NAME
  FORKECHO_START_AT=@$(($(date +%s) + stack_lead_s))
  export FORKECHO_START_AT
  say "deploying: $FORKECHO_SERVERS servers, $FORKECHO_LOADS load clients that begin at $FORKECHO_START_AT"
  logged "docker stack deploy" docker stack deploy --resolve-image never --compose-file "$root/docker/stack.yml" "$stack_up"
  report=$(container_of_report)
  load_code=$(end_of "$report")
  docker logs "$report"
  for service in server load; do
    docker service logs --raw "${stack_up}_$service" >"$logs/stack-$service.log" 2>&1 || true
  done
  [ "$load_code" -eq 0 ] || say "what servers and clients said: $logs/stack-*.log"
  logged "fetching the report" docker cp "$report:/out/." "$out"
  stop_stack_servers
  check_reports
  check_stack_books
}

# What docker/.env says where the environment does not: `docker stack deploy` reads no file.
read_settings() {
  local name value
  while IFS='=' read -r name value; do
    [ -n "${!name+set}" ] || export "$name=$value"
  done < <(grep -E '^[A-Z_]+=' "$root/docker/.env")
}

use_swarm() {
  [ "$(docker info --format '{{.Swarm.LocalNodeState}}')" != active ] || return 0
  say "making this machine a swarm of its own"
  logged "docker swarm init" docker swarm init --advertise-addr 127.0.0.1
  swarm_made=yes
}

tasks_of() { docker ps --all --quiet --no-trunc --filter "label=com.docker.swarm.service.name=${stack_up}_$1"; }

container_of_report() {
  local tries=240 container
  while [ $((tries--)) -gt 0 ]; do
    container=$(tasks_of report | head -n 1)
    if [ -n "$container" ]; then
      echo "$container"
      return
    fi
    sleep 0.25
  done
  docker stack ps --no-trunc "$stack_up" >"$logs/stack-tasks.log" 2>&1 || true
  fail "$exit_system" "the stack did not start: see $logs/stack-tasks.log"
}

# The servers are scaled down, so that they drain and leave their last statuses; the volume is read
# through a container that is never started.
stop_stack_servers() {
  local holder
  logged "scaling the servers down" docker service scale --detach "${stack_up}_server=0"
  wait_until_gone server
  holder=$(docker create --volume "${stack_up}_final:/final" "${FORKECHO_SERVER_IMAGE:-forkecho/server}")
  fetch_last_statuses "$holder"
  docker rm "$holder" >/dev/null
}

wait_until_gone() {
  local tries=240
  while [ $((tries--)) -gt 0 ] && [ -n "$(docker ps --quiet --filter "label=com.docker.swarm.service.name=${stack_up}_$1")" ]; do
    sleep 0.25
  done
}

check_stack_books() {
  local counted accepted=0 file
  [ "$load_code" -eq 0 ] || return 0
  counted=$(counted_by_client "$out/report.json" | sed 's/^run //')
  for file in "$out"/servers/*.json; do accepted=$((accepted + $(accepted_by "$file"))); done
  [ "$accepted" = "$counted" ] ||
    fail "$exit_system" "the servers accepted $accepted connections, the clients counted $counted"
  say "the clients' $counted connections are what the servers accepted"
}

# Volumes that tasks still hold for a moment are tried again.
remove_stack() {
  local tries=40 volume
  if [ -n "$stack_up" ]; then
    docker stack rm "$stack_up" >"$logs/stack-rm.log" 2>&1 || true
    while [ $((tries--)) -gt 0 ] && [ -n "$(docker ps --all --quiet --filter "label=com.docker.stack.namespace=$stack_up")" ]; do
      sleep 0.5
    done
    for volume in final runs reports; do docker volume rm "${stack_up}_$volume" >>"$logs/stack-rm.log" 2>&1 || true; done
  fi
  if [ -n "$swarm_made" ]; then docker swarm leave --force >>"$logs/stack-rm.log" 2>&1 || true; fi
  stack_up='' swarm_made=''
}
