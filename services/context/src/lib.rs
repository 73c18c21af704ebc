//! Keeps each tenant's contexts and their messages, and makes windows of them that fit a budget.
//!
//! ```text
//! config.rs    what the operator may turn
//! serve/       opens the store, joins the mesh, serves
//! service/     the wire: proto messages in, proto messages and statuses out
//! wire.rs      our words to the wire's and back
//! refusal.rs   every refusal a caller hears from here
//! names.rs     `contexts/<uuidv7>` and `contexts/<uuidv7>/messages/<n>`
//! fields.rs    what a client may write in a context, in one spelling
//! etag.rs      a word that changes with each change
//! page.rs      page tokens that nobody else can make
//! tokens.rs    the tokenizer `unicode-words`
//! window/      which messages go verbatim, which summarised; then the calls
//! store/       the rows: one trait, a suite that every implementation passes
//! ```

mod config;
mod etag;
mod fields;
mod names;
mod page;
mod refusal;
mod serve;
mod service;
mod store;
mod tokens;
mod window;
mod wire;

pub use self::{config::Config, serve::run};
