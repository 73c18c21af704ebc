//! What a service tells its database.

use std::time::Duration;

use crate::{Keys, Migration, Table};

/// What a service tells its database.
#[derive(Clone, Debug)]
pub struct Options {
    /// The tables of each tenant, as steps.
    pub tenant: &'static [Migration],
    /// The tables without a tenant, as steps; with none, there is no place for them.
    pub platform: &'static [Migration],
    /// The tables of each tenant as they are now, with what is sealed in them.
    pub tables: &'static [Table],
    /// Where the keys come from that tenants' columns are sealed with; without, nothing can be sealed.
    pub keys: Option<Keys>,
    /// Tenants' files that are open at once. Each takes a writer's thread and, while it is read, readers'
    /// threads, with three handles a thread.
    pub files_open_max: usize,
    /// Readers of one file at once.
    pub readers_per_file_max: u32,
    /// How long a call waits for its turn.
    pub wait_max: Duration,
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            tenant: &[],
            platform: &[],
            tables: &[],
            keys: None,
            files_open_max: 256,
            readers_per_file_max: 2,
            wait_max: Duration::from_secs(5),
        }
    }
}
