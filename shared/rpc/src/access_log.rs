//! The access log: one line a call, formatted and written by a thread of its own.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
    time::Duration,
};

use mcp_runtime::LogFormat;
use mcp_types::{Clock, SystemClock};

use crate::{layers::AccessLine, rpc_metrics::code_name};

/// Lines that may wait; beyond them a line is dropped and counted, since a call must not wait for a terminal.
const LINES_WAITING_MAX: usize = 8192;

/// How long the writer lets lines gather: waking it for each would cost more than the line.
const GATHER: Duration = Duration::from_millis(20);

/// The way to the access log; clones write to the same.
#[derive(Clone, Debug)]
pub struct AccessLog(Option<SyncSender<AccessLine>>);

// === impl AccessLog ===

impl AccessLog {
    /// Starts the log of `service` on standard error.
    pub fn start(service: &str, format: LogFormat) -> Self {
        let (sender, lines) = sync_channel(LINES_WAITING_MAX);
        let service = service.to_owned();
        let spawned = thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            write_all(&lines, &service, format);
        });
        Self(spawned.is_ok().then_some(sender))
    }

    /// A log that keeps nothing, for listeners whose calls are told of elsewhere.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Hands a line to the writer; never waits.
    pub fn write(&self, line: AccessLine) {
        if let Some(sender) = &self.0
            && let Err(TrySendError::Full(_)) = sender.try_send(line)
        {
            metrics::counter!("mcp_log_lines_dropped_total").increment(1);
        }
    }
}

fn write_all(lines: &Receiver<AccessLine>, service: &str, format: LogFormat) {
    let mut text = String::with_capacity(64 * 1024);
    while let Ok(first) = lines.recv() {
        line(&mut text, &first, service, format);
        thread::sleep(GATHER);
        while let Ok(next) = lines.try_recv() {
            line(&mut text, &next, service, format);
            if text.len() > 60 * 1024 {
                flush(&mut text);
            }
        }
        flush(&mut text);
    }
}

fn flush(text: &mut String) {
    // Nobody is left to tell where standard error is closed.
    let _ = io::stderr().lock().write_all(text.as_bytes());
    text.clear();
}

/// Every field is of a fixed alphabet (names, numbers, digits), so none needs escaping.
fn line(text: &mut String, line: &AccessLine, service: &str, format: LogFormat) {
    let AccessLine { call, code, took, answer_bytes } = line;
    let micros = took.as_micros();
    let now = SystemClock.now().unix_millis();
    let path = call.policy().map_or("unknown", |policy| policy.path);
    let credential = call.admitted_caller().and_then(|caller| caller.credential());
    let tenant = credential.map_or("-", |credential| credential.tenant().as_str());
    let user = credential.map_or("-", |credential| credential.user().as_str());
    let (peer, code, request_id) = (call.peer(), code_name(*code), call.request_id());
    let trace_id = call.trace().trace_id();
    let reason = call.denied().map_or("", |denied| denied.reason());
    let written = match format {
        LogFormat::Json => writeln!(
            text,
            "{{\"unix_ms\":{now},\"level\":\"INFO\",\"event\":\"call\",\"service\":\"{service}\",\"method\":\"{path}\",\
             \"code\":\"{code}\",\"reason\":\"{reason}\",\"us\":{micros},\"answer_bytes\":{answer_bytes},\
             \"peer\":\"{peer}\",\"tenant\":\"{tenant}\",\"principal\":\"{user}\",\"request_id\":\"{request_id}\",\
             \"trace_id\":\"{trace_id}\"}}"
        ),
        LogFormat::Text { .. } => writeln!(
            text,
            "{service:>13} {code} {path} {micros}us peer={peer} tenant={tenant} user={user} \
             request_id={request_id} {reason}"
        ),
    };
    // Writing to a string does not fail.
    let _ = written;
}
