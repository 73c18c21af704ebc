//! What every process needs around its services: configuration, signals, runtimes, telemetry, exit codes.
//!
//! ```text
//! config.rs     one TOML file, `MCP__SECTION__KEY` over it, secrets by reference
//! cores.rs      one current-thread runtime a core, for listeners
//! failure.rs    why a run ended, as sysexits has it
//! limits.rs     what the operating system lets the process have
//! metrics.rs    the recorder and the listener that shows it
//! profile.rs    development, staging, production
//! request.rs    which request a piece of work is for
//! shell.rs      what a service is run in
//! telemetry.rs  the log
//! ```

mod config;
mod cores;
mod failure;
mod limits;
mod metrics;
mod profile;
mod request;
mod shell;
mod telemetry;

pub use self::{
    config::{SecretRef, load, load_str},
    cores::Cores,
    failure::Failure,
    limits::set_process_limits,
    metrics::{MetricsHandle, install_metrics, serve_metrics},
    profile::Profile,
    request::{current_request_id, for_request},
    shell::{Readiness, Shell, Stop},
    telemetry::{LogFormat, start_log},
};
