//! The verbs that run, answer and end.

mod audit;
mod certificates;
mod policy;
mod secrets;
mod show;
mod signing;
mod store;
mod token;

pub(crate) use self::{
    audit::audit,
    certificates::{cert, join_token},
    policy::policy,
    secrets::secrets,
    show::{completions, config, version},
    store::store,
    token::token,
};

use mcp_runtime::Failure;

/// Runs `work` on a runtime of its own.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::io("start a runtime", source))?
        .block_on(work)
}
