#!/bin/sh
# Lays down everything the platform needs in a vault, once, and revokes the root token it was run with.
#
# Usage: BAO_ADDR=... BAO_CACERT=... BAO_TOKEN=<root token> deploy/vault/setup.sh
#
# It may be run again (after an upgrade, with a root token of `bao operator generate-root`): what is there stays.
#
#   BAO                       the command; `bao` if unset (`vault` works too)
#   MCP_SERVICE_TOKEN_TTL     how long a service's token lives unless it is renewed; 20m
#   MCP_SERVICE_TOKEN_MAX     how long it lives at most; 4h
#   MCP_DATABASE_URL          postgresql://{{username}}:{{password}}@host:5432/mcp?sslmode=verify-full: turns the database engine on
#   MCP_DATABASE_USER         the user that makes users (CREATEROLE); its password is read from the file
#   MCP_DATABASE_PASSWORD_FILE  ... and is changed by the vault at once where MCP_DATABASE_ROTATE=1
#   MCP_DATABASE_GRANT        SQL for each new user, `%service%` standing for the service; `GRANT mcp_%service% TO "{{name}}"`
#   MCP_DATABASE_TTL          how long such a user lives unless its lease is renewed; 1h
#   MCP_DATABASE_TTL_MAX      how long it lives at most; 24h
#   MCP_MESH_CA               PEM of the mesh's roots: lets services log in by their certificate
#   MCP_TRUST_DOMAIN          the mesh's trust domain; mcp.local
#   MCP_KUBERNETES_HOST       URL of the cluster's API: lets services log in by their service account
#   MCP_KUBERNETES_NAMESPACE  where the services run; mcp
#   MCP_KEEP_TOKEN            1: do not revoke the token at the end
set -eu

here=$(cd "$(dirname "$0")" && pwd)
bao=${BAO:-bao}
services='ca auth context'
ttl=${MCP_SERVICE_TOKEN_TTL:-20m}
ttl_max=${MCP_SERVICE_TOKEN_MAX:-4h}

quiet() {
    "$bao" "$@" >/dev/null
}

# Turns an engine or a login on, where it is not on yet.
ensure() {
    kind=$1 path=$2
    shift 2
    if ! "$bao" "$kind" list -format=json | grep -q "\"$path/\""; then
        quiet "$kind" enable -path="$path" "$@"
    fi
}

# Our request ID is written to the audit device as it is, so that its entries are found by it.
quiet write sys/config/auditing/request-headers/x-request-id hmac=false

ensure secrets mcp-kv -version=2 kv
ensure secrets mcp-transit transit
ensure secrets mcp-signing transit
# A key is made by name or not at all: encrypting under a deleted one must fail.
quiet write mcp-transit/config/keys disable_upsert=true

for human in deployer operator; do
    quiet policy write "mcp-$human" "$here/policies/$human.hcl"
done
for service in $services; do
    quiet policy write "mcp-$service" "$here/policies/$service.hcl"
done

ensure auth approle approle
for service in $services; do
    quiet write "auth/approle/role/mcp-$service" \
        token_policies="mcp-$service" token_no_default_policy=true token_type=service \
        token_ttl="$ttl" token_max_ttl="$ttl_max" \
        secret_id_ttl=720h secret_id_num_uses=0 bind_secret_id=true
done

if [ -n "${MCP_MESH_CA:-}" ]; then
    ensure auth cert cert
    for service in $services; do
        quiet write "auth/cert/certs/mcp-$service" certificate=@"$MCP_MESH_CA" \
            allowed_uri_sans="spiffe://${MCP_TRUST_DOMAIN:-mcp.local}/service/$service" \
            token_policies="mcp-$service" token_no_default_policy=true \
            token_ttl="$ttl" token_max_ttl="$ttl_max"
    done
fi

if [ -n "${MCP_KUBERNETES_HOST:-}" ]; then
    ensure auth kubernetes kubernetes
    quiet write auth/kubernetes/config kubernetes_host="$MCP_KUBERNETES_HOST" \
        ${MCP_KUBERNETES_CA:+kubernetes_ca_cert=@"$MCP_KUBERNETES_CA"} \
        ${MCP_KUBERNETES_REVIEWER_JWT:+token_reviewer_jwt="$MCP_KUBERNETES_REVIEWER_JWT"}
    for service in $services; do
        quiet write "auth/kubernetes/role/mcp-$service" \
            bound_service_account_names="$service" \
            bound_service_account_namespaces="${MCP_KUBERNETES_NAMESPACE:-mcp}" \
            audience=vault token_policies="mcp-$service" token_no_default_policy=true \
            token_ttl="$ttl" token_max_ttl="$ttl_max"
    done
fi

if [ -n "${MCP_DATABASE_URL:-}" ]; then
    ensure secrets mcp-database database
    quiet write mcp-database/config/mcp plugin_name=postgresql-database-plugin \
        allowed_roles=ca,auth,context connection_url="$MCP_DATABASE_URL" \
        username="$MCP_DATABASE_USER" password=@"$MCP_DATABASE_PASSWORD_FILE" \
        password_authentication=scram-sha-256
    if [ "${MCP_DATABASE_ROTATE:-0}" = 1 ]; then
        quiet write -f mcp-database/rotate-root/mcp
    fi
    grant=${MCP_DATABASE_GRANT:-'GRANT mcp_%service% TO "{{name}}"'}
    for service in $services; do
        mine=$(printf %s "$grant" | sed "s/%service%/$service/g")
        quiet write "mcp-database/roles/$service" db_name=mcp \
            creation_statements="CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS; $mine;" \
            revocation_statements="SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{name}}'; DROP ROLE IF EXISTS \"{{name}}\";" \
            default_ttl="${MCP_DATABASE_TTL:-1h}" max_ttl="${MCP_DATABASE_TTL_MAX:-24h}"
    done
fi

# Nothing needs the root token from here on; shares make another one if the day comes.
if [ "${MCP_KEEP_TOKEN:-0}" != 1 ]; then
    quiet token revoke -self
fi
