//! A handshake without a socket.

use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use rustls_pki_types::ServerName;

/// What the two ends said of a handshake that failed.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) client: Option<rustls::Error>,
    pub(crate) server: Option<rustls::Error>,
}

/// Carries bytes between a client and a server called `localhost`, until neither has more to say.
pub(crate) fn handshake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
) -> Result<(ClientConnection, ServerConnection), Box<Refusal>> {
    let name = ServerName::try_from("localhost").unwrap();
    carry(ClientConnection::new(client.clone(), name).unwrap(), server)
}

/// Carries bytes between a client and a server until neither has more to say.
pub(crate) fn carry(
    mut client: ClientConnection,
    server: &Arc<ServerConfig>,
) -> Result<(ClientConnection, ServerConnection), Box<Refusal>> {
    let mut server = ServerConnection::new(server.clone()).unwrap();
    let mut refusal = Refusal { client: None, server: None };
    loop {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        if let Err(error) = feed(&mut server, &wire) {
            refusal.server.get_or_insert(error);
        }
        let mut back = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut back).unwrap();
        }
        if let Err(error) = feed(&mut client, &back) {
            refusal.client.get_or_insert(error);
        }
        if wire.is_empty() && back.is_empty() {
            break;
        }
    }
    if refusal.client.is_some() || refusal.server.is_some() {
        return Err(Box::new(refusal));
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((client, server))
}

fn feed<D>(
    end: &mut impl std::ops::DerefMut<Target = rustls::ConnectionCommon<D>>,
    mut bytes: &[u8],
) -> Result<(), rustls::Error> {
    while !bytes.is_empty() {
        end.read_tls(&mut bytes).unwrap();
        end.process_new_packets()?;
    }
    Ok(())
}
