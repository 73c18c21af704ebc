//! A database for a test, on a server that it may share with others.

use std::{
    fmt,
    sync::atomic::{AtomicU32, Ordering},
};

use mcp_types::{Entropy as _, SystemEntropy};

use super::PostgresServer;

/// A database with nothing in it that the test did not put there.
#[derive(Debug)]
pub struct PostgresDatabase<'a> {
    server: &'a PostgresServer,
    name: String,
    logins: AtomicU32,
}

/// Who somebody is to the server: a role that belongs to one test.
#[derive(Clone)]
pub struct PostgresLogin {
    /// The role.
    pub user: String,
    /// Its password.
    pub password: String,
}

// === impl PostgresDatabase ===

impl<'a> PostgresDatabase<'a> {
    pub(super) const fn new(server: &'a PostgresServer, name: String) -> Self {
        Self { server, name, logins: AtomicU32::new(0) }
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

    /// Makes a role that owns the database and may make others: who migrates.
    ///
    /// # Panics
    ///
    /// Where the server does not serve.
    pub fn owner(&self) -> PostgresLogin {
        let login = self.new_login("CREATEROLE");
        self.sql(&format!("ALTER DATABASE {} OWNER TO {}", self.name, login.user));
        login
    }

    /// Makes a role that is a member of `role` and nothing else: who a service logs in as.
    ///
    /// # Panics
    ///
    /// Where there is no such role.
    pub fn member_of(&self, role: &str) -> PostgresLogin {
        self.new_login(&format!("IN ROLE {role}"))
    }

    fn new_login(&self, attributes: &str) -> PostgresLogin {
        let mut drawn = [0; 16];
        SystemEntropy.fill(&mut drawn);
        let number = self.logins.fetch_add(1, Ordering::Relaxed);
        let user = format!("{}_login_{number}", self.name);
        let password = format!("{:032x}", u128::from_le_bytes(drawn));
        self.sql(&format!("CREATE ROLE {user} LOGIN PASSWORD '{password}' {attributes}"));
        PostgresLogin { user, password }
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

// === impl PostgresLogin ===

impl fmt::Debug for PostgresLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresLogin").field("user", &self.user).finish_non_exhaustive()
    }
}
