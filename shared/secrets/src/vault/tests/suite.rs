//! What every keeper must do, on OpenBao.

use std::sync::Arc;

use mcp_testkit::OpenBaoServer;

use super::logged_in;
use crate::suite::{Fresh, keepers};

async fn fresh() -> Fresh<OpenBaoServer> {
    let server = OpenBaoServer::start();
    let vault = logged_in(&server, "context").await;
    Fresh { secrets: Arc::new(vault.clone()), wrapping: Arc::new(vault), _alive: server }
}

keepers!(fresh);
