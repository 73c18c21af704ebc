//! Which keeper a service has, as the operator writes it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::vault;

/// The `[<service>.secrets]` section: who keeps the service's secrets and its tenants' wrapping keys.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who keeps them.
    pub keeper: Keeper,
    /// Where the sealed store has its key; for `keeper = "sealed"`.
    pub sealed: Sealed,
    /// Where the vault is, and who we are to it; for `keeper = "vault"`.
    pub vault: Option<vault::Config>,
}

/// Who keeps secrets.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Keeper {
    /// Sealed files in the service's own folder, for one machine in development. What a user gets who names none.
    #[default]
    Sealed,
    /// OpenBao or HashiCorp Vault.
    Vault,
}

/// Where a sealed store has its key. Nothing set: `master.key` in the service's folder, made at the first start.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sealed {
    /// A file of 32 bytes that its owner alone may read.
    pub master_key: Option<PathBuf>,
    /// The name of an environment variable that holds the path of such a file.
    pub master_key_env: Option<String>,
    /// A file with a passphrase, in place of a key.
    pub passphrase_file: Option<PathBuf>,
    /// Where the passphrase's salt and cost are; `passphrase.header` in the service's folder if nothing is said.
    pub passphrase_header: Option<PathBuf>,
    /// Where the store's mark is; beside the key, or beside the passphrase's header, if nothing is said.
    pub mark: Option<PathBuf>,
    /// Copies of the tenants' wrapping keys, apart from the data and encrypted to somebody else's key.
    pub escrow: Option<Escrow>,
}

/// Where copies of the wrapping keys go.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Escrow {
    /// Whose key opens them: an age recipient, `age1...`. Its other half is kept offline.
    pub recipient: String,
    /// Holds a file a tenant, for its owner alone. It is in no backup of data.
    pub folder: PathBuf,
}

#[cfg(test)]
mod tests {
    //! What an operator may write.

    use super::*;

    #[test]
    fn nothing_written_is_the_sealed_store() {
        let config: Config = serde_json::from_value(serde_json::json!({})).expect("defaults");
        assert_eq!(config.keeper, Keeper::Sealed);
        assert!(config.vault.is_none() && config.sealed.escrow.is_none());
    }

    #[test]
    fn a_key_that_nobody_knows_is_refused_by_name() {
        for (section, key) in [("sealed", "master_kye"), ("vault", "adress")] {
            let text = serde_json::json!({ section: { key: "x" } });
            let error = serde_json::from_value::<Config>(text).expect_err("refused").to_string();
            assert!(error.contains(key), "{error}");
        }
    }
}
