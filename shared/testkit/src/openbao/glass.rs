//! What an operator asks on the server's own machine: plain HTTP over the socket that is the vault's alone.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
};

use serde_json::Value;

/// A way to the server that nothing which tests do to the network reaches.
#[derive(Debug)]
pub(super) struct Glass(PathBuf);

// === impl Glass ===

impl Glass {
    pub(super) const fn at(socket: PathBuf) -> Self {
        Self(socket)
    }

    /// What the server answers to the holder of `token`, or to nobody where that is empty; its words where it refuses.
    pub(super) fn ask(&self, method: &str, path: &str, token: &str, body: &Value) -> Result<Value, String> {
        let answer = self.exchange(method, path, token, body).map_err(|bad| bad.to_string())?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        // HTTP/1.0 has no chunks: what follows the head is the body.
        match head.split(' ').nth(1) {
            Some("200" | "204") => Ok(serde_json::from_str(body).unwrap_or(Value::Null)),
            _ => Err(answer),
        }
    }

    fn exchange(&self, method: &str, path: &str, token: &str, body: &Value) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(&self.0)?;
        let body = body.to_string();
        let length = body.len();
        let token = if token.is_empty() { String::new() } else { format!("x-vault-token: {token}\r\n") };
        let head =
            format!("{method} /v1/{path} HTTP/1.0\r\nhost: vault\r\n{token}content-length: {length}\r\n\r\n");
        stream.write_all(format!("{head}{body}").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}
