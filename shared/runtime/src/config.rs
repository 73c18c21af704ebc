//! Configuration: one TOML file, `MCP__SECTION__KEY` over it, secrets only by reference.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use figment::{
    Figment,
    providers::{Env, Format as _, Serialized, Toml},
};
use mcp_types::Redacted;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::Failure;

/// Where a secret is: `file:/path`. Configuration never holds the secret itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretRef {
    path: PathBuf,
}

/// Reads the configuration of a process: defaults, then the file, then the environment.
///
/// # Errors
///
/// A configuration failure that names the file, the key and what was expected.
pub fn load<C: DeserializeOwned + Serialize>(defaults: &C, file: Option<&Path>) -> Result<C, Failure> {
    let text = match file {
        None => String::new(),
        Some(path) => fs::read_to_string(path).map_err(|source| {
            Failure::config_because(format!("cannot read the configuration {}", path.display()), source)
        })?,
    };
    load_str(defaults, &text, file)
}

/// As [`load`], from the text of the file.
///
/// # Errors
///
/// As [`load`].
pub fn load_str<C: DeserializeOwned + Serialize>(
    defaults: &C,
    text: &str,
    file: Option<&Path>,
) -> Result<C, Failure> {
    let place = file.map_or_else(|| "the environment".to_owned(), |path| path.display().to_string());
    Figment::from(Serialized::defaults(defaults))
        .merge(Toml::string(text))
        .merge(Env::prefixed("MCP__").split("__"))
        .extract()
        .map_err(|error| {
            Failure::config_because(format!("the configuration in {place} does not hold"), error)
                .advise("`mcp config show` prints every key with its value")
        })
}

// === impl SecretRef ===

impl SecretRef {
    /// Refers to the file at `path`.
    pub const fn file(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where the secret is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the secret, without the line feed that editors leave at the end.
    ///
    /// # Errors
    ///
    /// A configuration failure that names the reference, never the secret.
    pub fn resolve(&self) -> Result<Redacted<String>, Failure> {
        let text = fs::read_to_string(&self.path)
            .map_err(|source| Failure::config_because(format!("cannot read the secret {self}"), source))?;
        Ok(Redacted::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

impl TryFrom<String> for SecretRef {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self { path: path.into() }),
            // The text may be the secret itself, pasted by mistake: do not repeat it.
            _ => Err("a secret is given by reference, as `file:/path`".to_owned()),
        }
    }
}

impl From<SecretRef> for String {
    fn from(reference: SecretRef) -> Self {
        reference.to_string()
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file:{}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    //! Files, references and mistakes.

    use super::*;

    #[derive(Debug, Default, Deserialize, Serialize)]
    #[serde(default, deny_unknown_fields)]
    struct Sample {
        width: u32,
        key: Option<SecretRef>,
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let failure = load_str(&Sample::default(), "widht = 3", None).unwrap_err();

        assert_eq!(failure.exit_code(), 78);
        assert!(failure.chain().join(": ").contains("widht"), "{failure:?}");
    }

    #[test]
    fn a_secret_pasted_in_place_of_a_reference_is_not_repeated() {
        let failure = load_str(&Sample::default(), "key = \"hunter2hunter2\"", None).unwrap_err();

        let text = format!("{:?}", failure.chain());
        assert!(text.contains("by reference"), "{text}");
    }
}
