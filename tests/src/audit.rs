//! The rows that decisions left, of every service.

use mcp_audit::{AuditRow, Decision};

use crate::World;

/// Every row, as far as it has reached the disk: from the copies, since tenants' own logs are sealed.
pub fn rows(world: &World) -> Vec<AuditRow> {
    let files = world.layout().state.values().map(|state| state.join("audit.copy.jsonl"));
    files
        .flat_map(|file| {
            std::fs::read_to_string(file).unwrap_or_default().lines().filter_map(row).collect::<Vec<_>>()
        })
        .collect()
}

/// A line that is being written is no row yet.
fn row(line: &str) -> Option<AuditRow> {
    serde_json::from_str(line).ok()
}

/// The rows of one request.
pub fn of_request(rows: &[AuditRow], id: &str) -> Vec<AuditRow> {
    rows.iter()
        .filter(|row| row.request_id.as_ref().is_some_and(|known| known.as_str() == id))
        .cloned()
        .collect()
}

/// The refusals of one request: who refused and why.
pub fn refusals(rows: &[AuditRow], id: &str) -> Vec<String> {
    let refused = of_request(rows, id).into_iter().filter(|row| row.decision == Some(Decision::Deny));
    refused.map(|row| row.reason.map(|reason| reason.to_string()).unwrap_or_default()).collect()
}
