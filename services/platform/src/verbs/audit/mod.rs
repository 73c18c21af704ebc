//! `mcp audit`: what the audit logs hold, and whether anybody changed it. Reads the disk and asks no service.
//!
//! ```text
//! logs.rs      where the logs are: the folders of a platform, or of one service
//! rows.rs      list and tail
//! proofs.rs    checkpoint, export, prove
//! verify.rs    verify
//! ```

mod logs;
mod proofs;
mod rows;
mod verify;

use mcp_runtime::Failure;

use crate::cli::{Format, audit::AuditVerb};

/// Does what `verb` says.
pub(crate) fn audit(verb: &AuditVerb, format: Format) -> Result<(), Failure> {
    match verb {
        AuditVerb::List(args) => rows::list(args, format),
        AuditVerb::Tail(args) => rows::tail(args, format),
        AuditVerb::Checkpoint(args) => proofs::checkpoint(args, format),
        AuditVerb::Export(args) => proofs::export(args, format),
        AuditVerb::Prove(args) => proofs::prove(args, format),
        AuditVerb::Verify(args) => verify::verify(args, format),
    }
}
