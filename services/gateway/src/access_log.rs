//! The edge's access log: one line a request, formatted and written by a thread of its own.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
    time::Duration,
};

use mcp_rpc::code_name;
use mcp_runtime::LogFormat;
use mcp_types::{Clock, SystemClock};
use tonic::Code;

use crate::observe::{Asked, Entry};

/// Lines that may wait; beyond them a line is dropped and counted, since a request must not wait for a terminal.
const LINES_WAITING_MAX: usize = 4096;

/// How long the writer lets lines gather: waking it for each would cost more than the line.
const GATHER: Duration = Duration::from_millis(20);

/// The way to the log.
#[derive(Clone, Debug)]
pub(crate) struct AccessLog(Option<SyncSender<Entry>>);

// === impl AccessLog ===

impl AccessLog {
    /// Starts the log on standard error.
    pub(crate) fn start(format: LogFormat) -> Self {
        let (sender, entries) = sync_channel(LINES_WAITING_MAX);
        let spawned =
            thread::Builder::new().name("edge-log".to_owned()).spawn(move || write_all(&entries, format));
        Self(spawned.is_ok().then_some(sender))
    }

    /// A log that keeps nothing.
    #[cfg(test)]
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// Hands an entry to the writer; never waits.
    pub(crate) fn write(&self, entry: Entry) {
        if let Some(sender) = &self.0
            && let Err(TrySendError::Full(_)) = sender.try_send(entry)
        {
            metrics::counter!("mcp_log_lines_dropped_total").increment(1);
        }
    }
}

fn write_all(entries: &Receiver<Entry>, format: LogFormat) {
    let mut text = String::with_capacity(64 * 1024);
    while let Ok(first) = entries.recv() {
        line(&mut text, &first, format);
        thread::sleep(GATHER);
        while let Ok(next) = entries.try_recv() {
            line(&mut text, &next, format);
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
fn line(text: &mut String, entry: &Entry, format: LogFormat) {
    let Entry { request_id, client, spoken, status, reason, request_bytes, answer_bytes, .. } = entry;
    let (us, now, status) = (entry.took.as_micros(), SystemClock.now().unix_millis(), status.as_u16());
    let upstream_us = entry.upstream.map_or(0, |upstream| upstream.as_micros());
    let trace_id = entry.trace.trace_id();
    let (asked, code) = match &entry.asked {
        Asked::Method(route) => (route.policy.path, code_name(entry.code.unwrap_or(Code::Cancelled))),
        Asked::NoMethod => ("unknown", code_name(entry.code.unwrap_or(Code::Cancelled))),
        Asked::Page(page) => (*page, ""),
    };
    let (tenant, user) = entry
        .credential
        .as_ref()
        .map_or(("-", "-"), |credential| (credential.tenant().as_str(), credential.user().as_str()));
    let written = match format {
        LogFormat::Json => writeln!(
            text,
            "{{\"unix_ms\":{now},\"level\":\"INFO\",\"event\":\"request\",\"service\":\"gateway\",\
             \"method\":\"{asked}\",\"protocol\":\"{spoken}\",\"status\":{status},\"code\":\"{code}\",\
             \"reason\":\"{reason}\",\"us\":{us},\"upstream_us\":{upstream_us},\"request_bytes\":{request_bytes},\
             \"answer_bytes\":{answer_bytes},\"client\":\"{client}\",\"tenant\":\"{tenant}\",\
             \"principal\":\"{user}\",\"request_id\":\"{request_id}\",\"trace_id\":\"{trace_id}\"}}"
        ),
        LogFormat::Text { .. } => writeln!(
            text,
            "{:>13} {status} {code} {asked} {us}us {spoken} client={client} tenant={tenant} user={user} \
             request_id={request_id} {reason}",
            "gateway"
        ),
    };
    // Writing to a string does not fail.
    let _ = written;
}
