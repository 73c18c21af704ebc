# What the certificate authority may do in the vault, and nothing else. Every path begins with the service's own name; no path hands key
# material out (no `export`, no `backup`, no `datakey`), and none reaches another service's.

# Its secrets: KV version 2. `destroy` and `undelete` are for operators.
path "mcp-kv/data/ca/*" {
  capabilities = ["create", "read", "update"]
}
path "mcp-kv/metadata/ca/*" {
  capabilities = ["read", "list", "delete"]
}
path "mcp-kv/metadata/ca" {
  capabilities = ["list"]
}

# Its wrapping keys, one a tenant: `ca-<tenant>`. It makes a key, lets it be deleted, and deletes it with its tenant.
# The list of parameters shuts out `exportable`, `allow_plaintext_backup` and every other way to get a key out.
path "mcp-transit/keys/ca-*" {
  capabilities = ["create", "read", "update", "delete"]
  allowed_parameters = {
    "type"             = ["aes256-gcm96"]
    "deletion_allowed" = []
  }
}
# `update` alone: with `create`, encrypting under a destroyed key would make it anew.
path "mcp-transit/encrypt/ca-*" {
  capabilities = ["update"]
}
path "mcp-transit/decrypt/ca-*" {
  capabilities = ["update"]
}

# Its own short-lived user of the database, and the lease of it.
path "mcp-database/creds/ca" {
  capabilities = ["read"]
}
path "sys/leases/renew" {
  capabilities = ["update"]
}
path "sys/leases/revoke" {
  capabilities = ["update"]
}

# Its own token.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
