# What delivers secret IDs to services (a pipeline, or an operator's hands): it asks for them wrapped and sees none.
# A secret ID that is not wrapped is refused, and so is a wrapping that outlives its delivery.
path "auth/approle/role/mcp-ca/secret-id" {
  capabilities     = ["create", "update"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "10m"
}
path "auth/approle/role/mcp-ca/role-id" {
  capabilities = ["read"]
}
# After an alarm, what was delivered is taken back.
path "auth/approle/role/mcp-ca/secret-id-accessor/destroy" {
  capabilities = ["create", "update"]
}
path "auth/approle/role/mcp-auth/secret-id" {
  capabilities     = ["create", "update"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "10m"
}
path "auth/approle/role/mcp-auth/role-id" {
  capabilities = ["read"]
}
# After an alarm, what was delivered is taken back.
path "auth/approle/role/mcp-auth/secret-id-accessor/destroy" {
  capabilities = ["create", "update"]
}
path "auth/approle/role/mcp-context/secret-id" {
  capabilities     = ["create", "update"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "10m"
}
path "auth/approle/role/mcp-context/role-id" {
  capabilities = ["read"]
}
# After an alarm, what was delivered is taken back.
path "auth/approle/role/mcp-context/secret-id-accessor/destroy" {
  capabilities = ["create", "update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
