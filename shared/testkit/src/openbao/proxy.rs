//! A way to a server that can stall or break, by the byte: whatever runs over it is none the wiser.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use crate::loopback;

/// How much is handed on at once.
const CHUNK: usize = 16 * 1024;

/// Hands bytes on between clients and a port of this machine.
#[derive(Debug)]
pub(super) struct Proxy {
    port: u16,
    way: Arc<Way>,
}

#[derive(Debug, Default)]
struct Way {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    mode: Mode,
    open: Vec<TcpStream>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Mode {
    #[default]
    Through,
    Stalled,
    Cut,
    Over,
}

// === impl Proxy ===

impl Proxy {
    pub(super) fn to(target: u16) -> Self {
        let listener = loopback();
        let port = listener.local_addr().expect("the listener is bound").port();
        let way = Arc::new(Way::default());
        let theirs = Arc::clone(&way);
        thread::spawn(move || accept(&listener, target, &theirs));
        Self { port, way }
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn stall(&self) {
        self.way.switch(Mode::Stalled);
    }

    pub(super) fn cut(&self) {
        self.way.switch(Mode::Cut);
    }

    pub(super) fn mend(&self) {
        self.way.switch(Mode::Through);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.way.switch(Mode::Over);
        // The thread that accepts finds out by one more connection.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

// === impl Way ===

impl Way {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn switch(&self, mode: Mode) {
        let mut state = self.state();
        state.mode = mode;
        if matches!(mode, Mode::Cut | Mode::Over) {
            for stream in state.open.drain(..) {
                drop(stream.shutdown(Shutdown::Both));
            }
        }
        self.changed.notify_all();
    }

    /// Waits while the way is stalled, and says whether it is open.
    fn pass(&self) -> bool {
        let state = self.changed.wait_while(self.state(), |state| state.mode == Mode::Stalled);
        state.unwrap_or_else(PoisonError::into_inner).mode == Mode::Through
    }
}

fn accept(listener: &TcpListener, target: u16, way: &Arc<Way>) {
    for client in listener.incoming().flatten() {
        let mode = way.state().mode;
        match mode {
            Mode::Over => return,
            Mode::Cut => continue,
            Mode::Through | Mode::Stalled => {}
        }
        // Nobody listens there: the client's connection ends, as it would without us.
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)) else { continue };
        drop(join(client, server, way));
    }
}

fn join(client: TcpStream, server: TcpStream, way: &Arc<Way>) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    way.state().open.extend([client.try_clone()?, server.try_clone()?]);
    let (there, back) = ((client.try_clone()?, server.try_clone()?), (server, client));
    for (from, to) in [there, back] {
        let way = Arc::clone(way);
        thread::spawn(move || pump(from, to, &way));
    }
    Ok(())
}

fn pump(mut from: TcpStream, mut to: TcpStream, way: &Way) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        if !way.pass() || to.write_all(&chunk[..length]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
}
