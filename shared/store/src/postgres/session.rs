//! One transaction on one connection.

use sqlx::PgConnection;

use crate::StoreError;

/// A transaction that has begun.
pub(crate) struct Session {
    connection: PgConnection,
}

// === impl Session ===

impl Session {
    pub(crate) fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        Ok(&mut self.connection)
    }

    pub(crate) async fn lock(&mut self, _parts: &[&[u8]]) -> Result<(), StoreError> {
        Ok(())
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        Ok(())
    }
}
