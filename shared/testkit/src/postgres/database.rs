//! A database for a test, on a server that it may share with others.

use super::PostgresServer;

/// A database with nothing in it that the test did not put there.
#[derive(Clone, Debug)]
pub struct PostgresDatabase<'a> {
    server: &'a PostgresServer,
    name: String,
}

// === impl PostgresDatabase ===

impl<'a> PostgresDatabase<'a> {
    pub(super) const fn new(server: &'a PostgresServer, name: String) -> Self {
        Self { server, name }
    }

    /// The server that it is on.
    pub const fn server(&self) -> &'a PostgresServer {
        self.server
    }

    /// Its name, which no other database on the server has.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the superuser finds it, with the server's certificate verified.
    pub fn superuser_url(&self) -> String {
        self.server.url(self.server.superuser(), self.server.password(), &self.name)
    }

    /// Where `user` finds it, with the server's certificate verified.
    pub fn url(&self, user: &str, password: &str) -> String {
        self.server.url(user, password, &self.name)
    }

    /// As [`PostgresServer::sql`], here.
    ///
    /// # Panics
    ///
    /// Where a statement fails.
    pub fn sql(&self, statements: &str) -> String {
        self.server.sql(&self.name, statements)
    }

    /// As [`PostgresServer::try_sql`], here.
    ///
    /// # Errors
    ///
    /// What `psql` writes to its standard error.
    pub fn try_sql(&self, user: &str, password: &str, statements: &str) -> Result<String, String> {
        self.server.try_sql(user, password, &self.name, statements)
    }
}
