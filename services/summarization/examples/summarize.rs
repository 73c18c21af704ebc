//! Summarises standard input: `cargo run -p mcp-summarization --example summarize -- [WORDS] [QUERY]`.

use std::io::{self, Read, Write};

use mcp_summarization::engine::{Engine, Extractive, Job, Length, Style};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let length = match arguments.next().map(|words| words.parse()) {
        None => Length::default(),
        Some(Ok(words)) => Length::Words(words),
        Some(Err(error)) => return Err(io::Error::new(io::ErrorKind::InvalidInput, error)),
    };
    let query = arguments.next().unwrap_or_default();
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;

    let summary = Extractive::new().summarize(&Job { text, length, query, ..Job::default() });
    writeln!(io::stdout(), "{}", summary.set_out(Style::Paragraph))
}
