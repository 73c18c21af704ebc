# What auth may do in the vault, and nothing else. Every path begins with the service's own name; no path hands key
# material out (no `export`, no `backup`, no `datakey`), and none reaches another service's.

# Its secrets: KV version 2. `destroy` and `undelete` are for operators.
path "mcp-kv/data/auth/*" {
  capabilities = ["create", "read", "update"]
}
path "mcp-kv/metadata/auth/*" {
  capabilities = ["read", "list", "delete"]
}
path "mcp-kv/metadata/auth" {
  capabilities = ["list"]
}

# Its wrapping keys, one a tenant: `auth-<tenant>`. It makes a key, lets it be deleted, and deletes it with its tenant.
# The list of parameters shuts out `exportable`, `allow_plaintext_backup` and every other way to get a key out.
path "mcp-transit/keys/auth-*" {
  capabilities = ["create", "read", "update", "delete"]
  allowed_parameters = {
    "type"             = ["aes256-gcm96"]
    "deletion_allowed" = []
  }
}
# `update` alone: with `create`, encrypting under a destroyed key would make it anew.
path "mcp-transit/encrypt/auth-*" {
  capabilities = ["update"]
}
path "mcp-transit/decrypt/auth-*" {
  capabilities = ["update"]
}

# Its own short-lived user of the database, and the lease of it.
path "mcp-database/creds/auth" {
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

# The keys that tokens are signed with: made here, used here, never out. One key a generation, deleted when it is retired.
path "mcp-signing/keys/auth-*" {
  capabilities = ["create", "read", "update", "delete"]
  allowed_parameters = {
    "type"             = ["ecdsa-p256"]
    "deletion_allowed" = []
  }
}
path "mcp-signing/sign/auth-*" {
  capabilities = ["update"]
}
