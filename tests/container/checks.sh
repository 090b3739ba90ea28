# Read by verify. A check is a function without a comment; they run in the order of the list at the end.
# shellcheck shell=bash disable=SC2154

free_port() { node -p 'const server = net.createServer().listen(0); const { port } = server.address(); server.close(); port'; }
# Tries a command until it succeeds, for a minute at most.
eventually() { for _ in $(seq 120); do "$@" && return; sleep 0.5; done; return 1; }
field() { podman inspect "$1" --format "{{$2}}"; }
healthy() { [ "$(field "$1" .State.Health.Status)" = healthy ]; }
build() { podman build --network host --format docker --timestamp 0 --build-arg NODE_IMAGE "$@"; }
# As little as a container can have: no network, no capability, and nothing to write to.
least=(--read-only --read-only-tmpfs=false --cap-drop ALL --security-opt no-new-privileges)
bare() { podman run --rm --network none "${least[@]}" "$@"; }
# What git has or would take, as if checked out under this umask.
check_out() { # folder, umask
  mkdir "$1"
  git ls-files -coz --exclude-standard | tar --null --files-from=- -cf - |
    (umask "$2" && tar -C "$1" --no-same-permissions -mxf -)
}

project=$work/project
check_out "$project" 022
port=$(free_port)
url=http://127.0.0.1:$port
export PUBLISH=127.0.0.1:$port PORT=$port

# --- The image ---

the_image_builds() { build --build-arg VERSION=1.2.3 --build-arg REVISION=abc --tag localhost/app "$project"; }

a_second_build_from_another_checkout_has_the_same_layers() {
  check_out "$work/again" 077 && build --no-cache --tag localhost/again "$work/again" &&
    diff <(field localhost/app .RootFS.Layers) <(field localhost/again .RootFS.Layers)
}

it_holds_the_server_and_production_packages_alone() {
  bare localhost/app find . -path ./node_modules -prune -o -type f -print >"$work/files" &&
    bare localhost/app ls node_modules node_modules/@local >"$work/packages" &&
    grep -x ./src/main.ts "$work/files" && ! grep -E '\.env|\.git|\.db|/(tests|docs|bench)/' "$work/files" &&
    grep -x fastify "$work/packages" && ! grep -xE 'vitest|typescript|oxlint|node-.*|.*-runtime' "$work/packages"
}

it_says_what_it_is() { [[ $(field localhost/app .Config.Labels) == *image.revision:abc*image.version:1.2.3* ]]; }

its_user_is_not_root_and_can_change_nothing_in_it() {
  [ "$(field localhost/app .Config.User)" = 1000:1000 ] && ! bare localhost/app find /app -writable -not -type l | grep .
}

it_runs_without_a_shell() {
  build --tag localhost/no-shell - <<'DOCKERFILE' &&
FROM localhost/app
USER 0
RUN ["node", "-e", "for (const name of ['sh', 'dash', 'bash', 'busybox']) fs.rmSync('/bin/' + name, { force: true })"]
USER 1000:1000
DOCKERFILE
    ! bare localhost/no-shell sh -c true && bare localhost/no-shell app keys generate >"$work/secrets" &&
    grep POSTGRES_PASSWORD= "$work/secrets"
}

missing_secrets_end_it_with_1_and_their_names() {
  bare localhost/app >"$work/told" 2>&1
  [ $? = 1 ] && grep ' SECRET_KEY is not set' "$work/told" && grep 'ENCRYPTION_KEY is not set' "$work/told"
}

# --- By itself, with SQLite on a volume ---

sqlite=(--env-file "$work/secrets" --env DATABASE_URL=sqlite:////data/app.db --volume data:/data)
post() { curl -fsS -H 'content-type: application/json' "$@"; }
# Registers, signs in and creates an item; keeps the token and the item's path.
create() {
  local account="\"email\":\"$RANDOM$RANDOM@example.com\",\"password\":\"Correct-horse-7-battery\""
  post "$url/api/v1/auth/register" -d "{$account,\"first_name\":\"Ada\",\"last_name\":\"Lovelace\"}" >/dev/null &&
    token=$(post "$url/api/v1/auth/login" -d "{$account}" | grep -oP '"access_token":"\K[^"]+') &&
    item=$(post "$url/api/v1/items" -H "authorization: Bearer $token" -d '{"name":"Kept"}' -D - | grep -ioP '^location: \K\S+')
}
read_again() { curl -fsS "$url$item" | grep '"name":"Kept"'; }
ends_with_0() { podman stop --time 15 "$1" && [ "$(field "$1" .State.ExitCode)" = 0 ]; }

two_migrations_of_sqlite_at_once_both_end_well() {
  # Podman itself fails now and then when two containers make a volume at once.
  podman volume create data || return
  bare "${sqlite[@]}" localhost/app app db upgrade &
  bare "${sqlite[@]}" localhost/app app db upgrade && wait $! && bare "${sqlite[@]}" localhost/app app db status
}

alone_it_gets_healthy_without_a_shell() {
  podman network create alone
  podman run --detach --name alone --network alone "${least[@]}" "${sqlite[@]}" \
    --publish "127.0.0.1:$port:5000" localhost/no-shell && eventually healthy alone
}

what_is_created_outlives_a_restart_and_SIGTERM_ends_it_with_0() {
  create && ends_with_0 alone && podman start alone && eventually read_again && ends_with_0 alone
}

# --- compose.yaml ---

# It would wait for health for ever.
compose() { (cd "$project" && timeout 180 docker-compose "$@"); }
containers() { podman ps --quiet --filter "label=com.docker.compose.service=$1"; }
# The .env of a developer, who starts the project in other ways as well.
developers_env() {
  cat "$work/secrets" - <<'ENV' >"$project/.env"
NODE_ENV=development
HOST=127.0.0.1
DATABASE_URL=sqlite:///app.db
MIGRATION_DATABASE_URL=postgresql://nobody@nowhere/nothing
REDIS_URL=redis://nowhere:6379
RATE_LIMIT_PER_MINUTE=1000000
ENV
}
all_healthy() {
  local id
  for id in $(containers db) $(containers redis) $(containers web) $(containers proxy); do healthy "$id" || return; done
  curl -fsS "$url/health/ready"
}

each_missing_secret_stops_compose_with_its_name() {
  local name
  for name in SECRET_KEY JWT_SECRET_KEY ENCRYPTION_KEY POSTGRES_PASSWORD; do
    grep -v "^$name=" "$work/secrets" >"$project/.env"
    ! compose config >"$work/told" 2>&1 && grep "{$name:.*is not in .env" "$work/told" || return
  done
}

two_migrations_of_postgresql_at_once_both_end_well() {
  developers_env
  compose up --detach --build db && eventually healthy "$(containers db)" || return
  compose run --rm --no-deps migrate &
  compose run --rm --no-deps migrate && wait $!
}

compose_brings_everything_up_healthy() { compose up --detach && eventually all_healthy; }

the_proxy_alone_is_published() {
  local id
  for id in $(containers db) $(containers redis) $(containers web); do [ -z "$(podman port "$id")" ] || return; done
  podman port "$(containers proxy)" | grep -x "8080/tcp -> 127.0.0.1:$port"
}

the_web_container_is_confined() {
  local id
  id=$(containers web) && [ "$(field "$id" .HostConfig.ReadonlyRootfs)" = true ] &&
    podman exec "$id" grep -cE '^(Uid:\s1000|CapBnd:\s0+$|NoNewPrivs:\s1)' /proc/self/status | grep -x 3
}

a_client_cannot_choose_its_address_or_request_id() {
  curl -fsS -H 'X-Forwarded-For: 203.0.113.9' -H 'X-Request-Id: told-by-client' "$url/api/v1/items" >/dev/null &&
    podman logs "$(containers web)" >"$work/told" && grep '"/api/v1/items"' "$work/told" &&
    ! grep -E 'told-by-client|203.0.113.9' "$work/told"
}

data_outlive_a_restart_and_down_and_up() {
  create && compose restart --timeout 15 web && eventually read_again &&
    compose down --timeout 15 && compose up --detach && eventually all_healthy && read_again
}

# Reads and writes on kept connections, until the file "enough" is there; bounded. Prints each answer's status.
load() {
  for _ in $(seq 50); do
    [ ! -e "$work/enough" ] || break
    curl -sS -o /dev/null -w '%{http_code}\n' "$url/api/v1/items#[1-50]" "$@"
  done
}
answered() { podman logs "$1" | grep '"path":"/api/v1/items"'; }
all_answered() { local id; for id in $(containers web); do answered "$id" || return; done; }
three_web_containers_all_answer_and_stopping_one_under_load_fails_no_request() {
  local webs reader writer good=no
  compose up --detach --scale web=3 && eventually all_healthy && create || return
  mapfile -t webs < <(containers web)
  load >"$work/read" &
  reader=$!
  load -H "authorization: Bearer $token" -H 'content-type: application/json' -d '{"name":"Many"}' >"$work/written" &
  writer=$!
  [ ${#webs[@]} = 3 ] && eventually all_answered && ends_with_0 "${webs[0]}" && sleep 1 && good=yes
  touch "$work/enough"
  wait $reader $writer
  sort "$work/read" "$work/written" | uniq -c
  [ $good = yes ] && [ "$(sort -u "$work/read")" = 200 ] && [ "$(sort -u "$work/written")" = 201 ]
}

# --- compose.dev.yaml ---

edited() { curl -fsS "$url/health" | grep '"edited"'; }
the_development_set_serves_its_seeds_on_the_loopback_and_restarts_on_an_edit() {
  local dev=(--file compose.dev.yaml)
  compose down --timeout 15 && compose "${dev[@]}" up --detach && eventually curl -fsS "$url/api/v1/items" &&
    podman port "$(containers dev)" | grep -x "$port/tcp -> 127.0.0.1:$port" && [ -z "$(podman port "$(containers dev-db)")" ] &&
    sed -i "s/'healthy'/'edited'/" "$project"/src/{schemas/health.schema,controllers/health.controller}.ts &&
    eventually edited
}

checks=(
  the_image_builds
  a_second_build_from_another_checkout_has_the_same_layers
  it_holds_the_server_and_production_packages_alone
  it_says_what_it_is
  its_user_is_not_root_and_can_change_nothing_in_it
  it_runs_without_a_shell
  missing_secrets_end_it_with_1_and_their_names
  two_migrations_of_sqlite_at_once_both_end_well
  alone_it_gets_healthy_without_a_shell
  what_is_created_outlives_a_restart_and_SIGTERM_ends_it_with_0
  each_missing_secret_stops_compose_with_its_name
  two_migrations_of_postgresql_at_once_both_end_well
  compose_brings_everything_up_healthy
  the_proxy_alone_is_published
  the_web_container_is_confined
  a_client_cannot_choose_its_address_or_request_id
  data_outlive_a_restart_and_down_and_up
  three_web_containers_all_answer_and_stopping_one_under_load_fails_no_request
  the_development_set_serves_its_seeds_on_the_loopback_and_restarts_on_an_edit
)
for name in "${checks[@]}"; do check "$name"; done
