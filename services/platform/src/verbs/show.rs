//! `mcp config show`, `mcp version`, `mcp completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;
use mcp_runtime::Failure;
use serde_json::json;

use crate::{
    cli::{Cli, ConfigArgs, ConfigVerb, Format},
    config::PlatformConfig,
    output,
};

/// Prints every key with its value.
pub(crate) fn config(args: &ConfigArgs, format: Format) -> Result<(), Failure> {
    let ConfigVerb::Show { config, serve } = &args.verb;
    let effective = if *serve {
        PlatformConfig::load_for_serve(config.as_deref())?
    } else {
        PlatformConfig::load_for_up(config.as_deref())?
    };
    let cannot = |source: Box<dyn std::error::Error + Send + Sync>| {
        Failure::software("the configuration cannot be shown").because(source)
    };
    match format {
        Format::Json => {
            output::json(&serde_json::to_value(&effective).map_err(|source| cannot(source.into()))?);
        }
        Format::Text | Format::Markdown => {
            output::line(toml::to_string(&effective).map_err(|source| cannot(source.into()))?.trim_end());
        }
    }
    Ok(())
}

/// Prints the version.
pub(crate) fn version(format: Format) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    match format {
        Format::Json => output::json(&json!({"version": version})),
        Format::Text | Format::Markdown => output::line(format_args!("mcp {version}")),
    }
    Ok(())
}

/// Prints a completion script.
pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mcp", &mut script);
    output::line(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}
