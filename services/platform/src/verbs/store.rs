//! `mcp store migrate`: the tables on PostgreSQL, made by their owner before the services come.

use std::path::Path;

use mcp_runtime::Failure;
use mcp_secrets::Secret;
use mcp_store::{Config, EngineName, Login, Options, Owner, Plaintext};
use serde_json::json;

use super::block_on;
use crate::{
    cli::{
        Format,
        store::{MigrateArgs, StoreVerb},
    },
    config::PlatformConfig,
    output,
};

/// Does what `verb` says.
pub(crate) fn store(verb: &StoreVerb, format: Format) -> Result<(), Failure> {
    let StoreVerb::Migrate(args) = verb;
    block_on(migrate(args, format))
}

async fn migrate(args: &MigrateArgs, format: Format) -> Result<(), Failure> {
    let config = PlatformConfig::load_for_serve(Some(&args.config))?;
    let plaintext = if config.profile.is_development() { Plaintext::OnLoopback } else { Plaintext::Refused };
    let login = Login { user: args.owner.clone(), password: secret(&args.password_file)? };
    let owner = Owner { login, plaintext };
    let stores: [(&str, &Config, Options); 3] = [
        ("ca", &config.ca.store, mcp_ca::store_options()),
        ("auth", &config.auth.store, mcp_auth::store_options()),
        ("context", &config.context.store, mcp_context::store_options()),
    ];
    let mut done = serde_json::Map::new();
    for (name, store, options) in stores {
        if store.engine != EngineName::Postgres {
            continue;
        }
        let service =
            name.parse().map_err(|source| Failure::software("a service has no name").because(source))?;
        let key = secret(&args.guard_keys.join(name))?;
        let applied = mcp_store::migrate(store, &service, &options, &owner, key).await.map_err(|source| {
            Failure::unavailable(format!("cannot migrate the tables of {name}; nothing of it was changed"))
                .because(source)
        })?;
        if matches!(format, Format::Text | Format::Markdown) {
            output::line(match applied.as_slice() {
                [] => format!("{name}: up to date"),
                applied => format!("{name}: {}", applied.join(", ")),
            });
        }
        done.insert(name.to_owned(), json!(applied));
    }
    if done.is_empty() {
        return Err(Failure::config("no service of this configuration is on PostgreSQL")
            .advise("set `engine = \"postgres\"` in `[ca.store]`, `[auth.store]` and `[context.store]`"));
    }
    if matches!(format, Format::Json) {
        output::json(&json!({ "applied": done }));
    }
    Ok(())
}

/// What `file` holds, without the line feed that editors leave.
fn secret(file: &Path) -> Result<Secret, Failure> {
    let mut bytes =
        std::fs::read(file).map_err(|source| Failure::io(format!("read {}", file.display()), source))?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(Secret::new(bytes))
}
