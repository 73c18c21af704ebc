#!/usr/bin/env bash
# PostgreSQL, OpenBao and Redis for one machine: on loopback, over TLS, with the roles, policies and logins that production
# has. For trying the platform on what it runs on there, and for the tests; not for keeping anything.
#
#   tools/servers.sh start DIR    starts what does not run yet, and lays down what is not there yet
#   tools/servers.sh stop DIR     stops all of it; what is in DIR stays
#
# Ports: MCP_POSTGRES_PORT (15432), MCP_VAULT_PORT (18200, and the next), MCP_REDIS_PORT (16379).
# DIR then holds: ca.pem, the authority of every server's certificate; guard/, owner.password, and for each service
# role-id and secret-id; edge/, a certificate for the gateway with an authority of its own.
set -euo pipefail
umask 077

here=$(cd "$(dirname "$0")/.." && pwd)
verb=${1:-} given=${2:-}
if [[ ! $verb =~ ^(start|stop)$ || -z $given ]]; then
  sed -n '5,6s/^# *//p' "$0" >&2
  exit 64
fi
mkdir -p "$given"
dir=$(cd "$given" && pwd)
postgres_port=${MCP_POSTGRES_PORT:-15432}
vault_port=${MCP_VAULT_PORT:-18200}
redis_port=${MCP_REDIS_PORT:-16379}
services='ca auth context'
bao=${BAO:-$(command -v bao || echo "$here/.venv/bin/bao")}

missing() {
  echo "missing: $1. \`make tools\` installs it." >&2
  exit 69
}
pg=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -x "${pg:-}/postgres" ] || missing PostgreSQL
[ -x "$bao" ] || missing OpenBao
command -v redis-server >/dev/null || missing Redis
command -v openssl >/dev/null || missing openssl

# PostgreSQL refuses to be root.
as_postgres() {
  if [ "$(id -u)" = 0 ]; then setpriv --reuid postgres --regid postgres --clear-groups -- "$@"; else "$@"; fi
}
psql() {
  PGPASSWORD=$(cat "$dir/postgres.password") command psql -X -q -v ON_ERROR_STOP=1 \
    "host=127.0.0.1 port=$postgres_port user=postgres dbname=${database:-postgres} sslmode=verify-full sslrootcert=$dir/ca.pem" "$@"
}
drawn() { # FILE: a password that nobody chose
  [ -s "$1" ] || openssl rand -hex 24 | tr -d '\n' >"$1"
}

# An authority in DIR/$1, and a certificate from it for this machine: $1/key.pem and $1/chain.pem.
certificate() {
  local at=$dir/$1 subject=$2
  [ -s "$at/chain.pem" ] && return
  mkdir -p "$at"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$subject" \
    -keyout "$at/ca.key" -out "$at/ca.pem" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
    -keyout "$at/key.pem" -out "$at/csr.pem" 2>/dev/null
  openssl x509 -req -in "$at/csr.pem" -CA "$at/ca.pem" -CAkey "$at/ca.key" -CAcreateserial -days 29 \
    -extfile <(printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1') \
    -out "$at/leaf.pem" 2>/dev/null
  # Nothing more is to be issued.
  rm "$at/ca.key" "$at/csr.pem"
  mv "$at/leaf.pem" "$at/chain.pem"
}

runs() { # PIDFILE
  [ -s "$1" ] && kill -0 "$(head -n 1 "$1")" 2>/dev/null
}
wait_for() { # WHAT COMMAND...
  local what=$1
  shift
  for _ in $(seq 200); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  echo "$what does not answer; its log is in $dir" >&2
  exit 69
}

start_postgres() {
  local data=$dir/postgres
  drawn "$dir/postgres.password"
  if [ ! -d "$data/base" ]; then
    mkdir -p "$data"
    cp "$dir/postgres.password" "$dir/initial"
    if [ "$(id -u)" = 0 ]; then
      # PostgreSQL's account must reach its folder, and nobody what else is here.
      chmod 711 "$dir"
      chown postgres: "$data" "$dir/initial"
    fi
    as_postgres "$pg/initdb" --pgdata="$data" --username=postgres --auth=scram-sha-256 \
      --encoding=UTF8 --locale=C.UTF-8 --pwfile="$dir/initial" >/dev/null
    rm "$dir/initial"
    install -m 600 "$dir/tls/key.pem" "$data/server.key"
    install -m 600 "$dir/tls/chain.pem" "$data/server.crt"
    [ "$(id -u)" != 0 ] || chown postgres: "$data"/server.*
    # By TLS and password alone, and no socket in the file system.
    printf 'hostssl all all 127.0.0.1/32 scram-sha-256\n' >"$data/pg_hba.conf"
    printf '%s\n' "listen_addresses = '127.0.0.1'" "unix_socket_directories = ''" 'ssl = on' \
      "ssl_min_protocol_version = 'TLSv1.3'" 'max_connections = 200' >>"$data/postgresql.conf"
  fi
  if ! runs "$data/postmaster.pid"; then
    touch "$dir/postgres.log"
    [ "$(id -u)" != 0 ] || chown postgres: "$dir/postgres.log"
    as_postgres "$pg/pg_ctl" start --pgdata="$data" --log="$dir/postgres.log" --silent \
      --options="-p $postgres_port" </dev/null
  fi
  drawn "$dir/owner.password"
  drawn "$dir/vault.password"
  if [ "$(psql -At -c "SELECT count(*) FROM pg_roles WHERE rolname IN ('mcp_owner', 'mcp_vault')")" != 2 ]; then
    # The owner migrates; the vault makes the logins that services have for an hour; neither is a superuser.
    psql <<SQL
CREATE ROLE mcp_owner LOGIN CREATEROLE PASSWORD '$(cat "$dir/owner.password")';
CREATE ROLE mcp_vault LOGIN CREATEROLE PASSWORD '$(cat "$dir/vault.password")' IN ROLE pg_signal_backend;
CREATE DATABASE mcp OWNER mcp_owner;
SQL
    psql -c 'REVOKE ALL ON DATABASE mcp FROM PUBLIC; GRANT CONNECT ON DATABASE mcp TO PUBLIC'
  fi
}

start_redis() {
  drawn "$dir/redis.password"
  runs "$dir/redis.pid" && return
  printf '%s\n' "port 0" "tls-port $redis_port" "bind 127.0.0.1" "tls-cert-file $dir/tls/chain.pem" \
    "tls-key-file $dir/tls/key.pem" "tls-ca-cert-file $dir/ca.pem" "tls-auth-clients no" 'save ""' 'appendonly no' \
    "dir $dir" "requirepass $(cat "$dir/redis.password")" "daemonize yes" "pidfile $dir/redis.pid" \
    "logfile $dir/redis.log" >"$dir/redis.conf"
  redis-server "$dir/redis.conf" >/dev/null
}

# The share goes by standard input: arguments are for everybody on the machine to read.
unseal() { # INIT.JSON
  jq '{key: .unseal_keys_b64[0]}' "$1" |
    curl --silent --fail --cacert "$dir/ca.pem" --data @- "$BAO_ADDR/v1/sys/unseal" | jq --exit-status '.sealed | not'
}

start_vault() {
  local at=$dir/vault
  export BAO=$bao BAO_ADDR=https://127.0.0.1:$vault_port BAO_CACERT=$dir/ca.pem
  mkdir -p "$at/data" "$at/audit" "$at/run"
  # The file that ships, with this machine's places in it.
  sed -e "s#/openbao/tls/vault.pem#$dir/tls/chain.pem#" -e "s#/openbao/tls/vault.key#$dir/tls/key.pem#" \
    -e "s#/openbao/#$at/#" -e "s#0.0.0.0:8200#127.0.0.1:$vault_port#" -e "s#0.0.0.0:8201#127.0.0.1:$((vault_port + 1))#" \
    -e "s#vault.example.internal:8200#127.0.0.1:$vault_port#" \
    -e "s#vault.example.internal:8201#127.0.0.1:$((vault_port + 1))#" "$here/deploy/vault/server.hcl" >"$at/server.hcl"
  if ! runs "$at/pid"; then
    nohup "$bao" server -config="$at/server.hcl" >"$dir/vault.log" 2>&1 </dev/null &
    echo $! >"$at/pid"
  fi
  wait_for OpenBao curl --silent --cacert "$dir/ca.pem" "$BAO_ADDR/v1/sys/seal-status"
  if [ ! -s "$at/init.json" ]; then
    # One share, kept beside the data: this vault guards nothing but a developer's trial.
    "$bao" operator init -key-shares=1 -key-threshold=1 -format=json >"$at/init.json"
  fi
  wait_for 'the unsealed vault' unseal "$at/init.json"
  [ -e "$at/laid-down" ] && return
  BAO_TOKEN=$(jq -r .root_token "$at/init.json")
  export BAO_TOKEN
  wait_for 'the active vault' "$bao" token lookup
  MCP_KEEP_TOKEN=1 MCP_DATABASE_USER=mcp_vault MCP_DATABASE_PASSWORD_FILE=$dir/vault.password \
    MCP_DATABASE_URL="postgresql://{{username}}:{{password}}@127.0.0.1:$postgres_port/mcp?sslmode=verify-full&sslrootcert=$dir/ca.pem" \
    "$here/deploy/vault/setup.sh"
  for service in $services; do
    mkdir -p "$dir/$service" "$dir/guard"
    "$bao" read -field=role_id "auth/approle/role/mcp-$service/role-id" >"$dir/$service/role-id"
    "$bao" write -f -field=secret_id "auth/approle/role/mcp-$service/secret-id" >"$dir/$service/secret-id"
    # The owner puts the key into the database, the service reads it from the vault.
    drawn "$dir/guard/$service"
    tr -d '\n' <"$dir/guard/$service" | base64 -w 0 |
      "$bao" kv put "mcp-kv/$service/store/guard" value=- >/dev/null
  done
  "$bao" token revoke -self >/dev/null
  touch "$at/laid-down"
}

stop() {
  if runs "$dir/redis.pid"; then kill "$(cat "$dir/redis.pid")"; fi
  if runs "$dir/vault/pid"; then kill "$(cat "$dir/vault/pid")"; fi
  if runs "$dir/postgres/postmaster.pid"; then
    as_postgres "$pg/pg_ctl" stop --pgdata="$dir/postgres" --mode=fast --silent
  fi
}

case $verb in
  stop) stop ;;
  start)
    certificate tls 'MCP Platform trial servers'
    certificate edge 'MCP Platform trial edge'
    cp "$dir/tls/ca.pem" "$dir/ca.pem"
    start_postgres
    start_redis
    start_vault
    echo "PostgreSQL on 127.0.0.1:$postgres_port, OpenBao on 127.0.0.1:$vault_port, Redis on 127.0.0.1:$redis_port; files in $dir"
    ;;
esac
