//! Makes long texts short: the summarization service and its engines.
//!
//! ```text
//! engine/   what an engine is, and the engines: pure, no I/O
//! ```

pub mod engine;
