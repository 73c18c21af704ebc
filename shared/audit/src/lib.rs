//! Who did what, and what was refused to whom: rows of evidence, and the sink that keeps them.
//!
//! ```text
//! row.rs         one decision, as a row
//! word.rs        a row's texts: shared, bounded
//! sink.rs        where rows go: off the call's path, or waited for
//! ledger.rs      a service's logs together: its own and its tenants'
//! json_lines/    a file of JSON lines, one thread writing it
//! read.rs        rows read back
//! log/           the Merkle tree over rows: checkpoints, proofs, the offline check
//! ```

mod json_lines;
mod ledger;
pub mod log;
mod read;
mod row;
mod sink;
mod word;

pub use self::{
    json_lines::{AppendFile, CannotOpen, JsonLines, Medium, Options, Signing},
    ledger::{Ledger, LogSeat},
    read::rows,
    row::{AuditRow, Decision, ROWS_FOLDED, ROWS_LOST},
    sink::{AuditFuture, AuditLost, AuditSink, TenantLogs},
    word::{WORD_BYTES_MAX, Word},
};
