# What whoever is on call may do without a root token: look, and pull the plug.
path "sys/seal" {
  capabilities = ["update", "sudo"]
}
path "sys/audit" {
  capabilities = ["read", "sudo"]
}
path "sys/mounts" {
  capabilities = ["read"]
}
path "sys/leases/lookup/*" {
  capabilities = ["list", "sudo"]
}
# Every user of the database that a service holds, at once.
path "sys/leases/revoke-prefix/mcp-database/creds/*" {
  capabilities = ["update", "sudo"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
