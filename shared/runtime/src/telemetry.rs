//! The log: one line an event, for people on a terminal and as JSON elsewhere.

use std::{
    io::{self, Write},
    sync::mpsc::{SyncSender, TrySendError, sync_channel},
    thread,
};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::Failure;

/// How lines look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// For people.
    Text {
        /// With colours.
        colours: bool,
    },
    /// One JSON object a line.
    Json,
}

/// How many lines may wait for a slow terminal before further ones are dropped and counted.
const LINES_WAITING_MAX: usize = 8192;

/// Starts the log on standard error, at the levels that `filter` names (`info`, or `mcp_rpc=debug,info`).
///
/// Lines are written by a thread of their own: a slow terminal slows no call.
///
/// # Errors
///
/// Where the filter does not parse or the log runs already.
pub fn start_log(format: LogFormat, filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|source| {
        Failure::config_because(format!("cannot read the log filter `{filter}`"), source)
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Background::start());
    let started = match format {
        LogFormat::Text { colours } => builder.with_ansi(colours).with_target(false).compact().try_init(),
        LogFormat::Json => {
            builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
        }
    };
    started.map_err(|source| Failure::software("the log runs already").because(source))
}

#[derive(Clone, Debug)]
struct Background(SyncSender<Vec<u8>>);

/// One event's line, sent when it is complete.
struct Line {
    text: Vec<u8>,
    to: SyncSender<Vec<u8>>,
}

// === impl Background ===

impl Background {
    fn start() -> Self {
        let (sender, lines) = sync_channel::<Vec<u8>>(LINES_WAITING_MAX);
        let spawned = thread::Builder::new().name("log".to_owned()).spawn(move || {
            let mut out = io::stderr();
            while let Ok(line) = lines.recv() {
                // Nobody is left to tell where standard error is closed.
                let _ = out.write_all(&line);
            }
        });
        drop(spawned);
        Self(sender)
    }
}

impl<'a> MakeWriter<'a> for Background {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { text: Vec::with_capacity(256), to: self.0.clone() }
    }
}

// === impl Line ===

impl Write for Line {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Err(TrySendError::Full(_)) = self.to.try_send(std::mem::take(&mut self.text)) {
            metrics::counter!("mcp_log_lines_dropped_total").increment(1);
        }
    }
}
