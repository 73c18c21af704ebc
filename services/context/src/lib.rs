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
//! data.rs      what a client keeps with a context in its own structure
//! filter.rs    which contexts a client asks for
//! read_mask.rs which fields of a context an answer has
//! etag.rs      a word that changes with each change
//! page.rs      page tokens that nobody else can make
//! tokens/      the tokenizers that windows are counted in
//! window/      windows: what is newest word for word, what is older summarised
//! store/       the rows: one trait, a suite that every implementation passes
//! ```

mod config;
mod data;
mod etag;
mod fields;
mod filter;
mod names;
mod page;
mod read_mask;
mod refusal;
mod serve;
mod service;
mod store;
mod tokens;
mod window;
mod wire;

pub use self::{
    config::Config,
    serve::run,
    store::{Quota, options as store_options},
};
