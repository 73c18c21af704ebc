# One node of the vault: integrated storage, TLS 1.3, and an audit device before the first request.
#
# The tests start this very file, with their own folders and ports in place of these.

storage "raft" {
  path    = "/openbao/data"
  node_id = "vault-1"
}

listener "tcp" {
  address         = "0.0.0.0:8200"
  cluster_address = "0.0.0.0:8201"
  tls_cert_file   = "/openbao/tls/vault.pem"
  tls_key_file    = "/openbao/tls/vault.key"
  tls_min_version = "tls13"
}

api_addr     = "https://vault.example.internal:8200"
cluster_addr = "https://vault.example.internal:8201"

# Without a device that takes the entry, the vault answers nothing: let the file lie on a volume of its own, and add a
# second device (syslog or socket), so that one full disk does not stop the platform.
audit "file" "file" {
  description = "every request and answer, secrets as HMACs"
  options {
    file_path = "/openbao/audit/audit.log"
  }
}

# The way through the glass: with enough shares a new root token is made here, and only here, by whoever is on this very
# machine as the vault's own user. README.md says when and how; every use of it is in the audit log.
listener "unix" {
  address     = "/openbao/run/break-glass.sock"
  socket_mode = "600"

  disable_unauthed_generate_root_endpoints = false
}
