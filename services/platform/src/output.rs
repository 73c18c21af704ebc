//! How results and errors are written.

use anstyle::{AnsiColor, Style};
use mcp_runtime::Failure;
use serde_json::json;

use crate::cli::Format;

/// The style of what matters on a line.
pub(crate) const STRONG: Style = Style::new().bold();
/// The style of what may be passed over.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// The style of what went well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// Prints a line of result.
pub(crate) fn line(text: impl std::fmt::Display) {
    anstream::println!("{text}");
}

/// Prints a result as one JSON document.
pub(crate) fn json(value: &serde_json::Value) {
    line(format_args!("{value:#}"));
}

/// Prints why a run ended: what, why, and what to do.
pub(crate) fn failure(failure: &Failure, format: Format) {
    let chain = failure.chain();
    if format == Format::Json {
        let (what, causes) =
            chain.split_first().map_or(("", &[][..]), |(what, causes)| (what.as_str(), causes));
        let value = json!({"error": {"message": what, "causes": causes, "advice": failure.advice(),
            "exit_code": failure.exit_code()}});
        anstream::eprintln!("{value:#}");
        return;
    }
    for (index, text) in chain.iter().enumerate() {
        if index == 0 {
            anstream::eprintln!("{BAD}error:{BAD:#} {text}");
        } else {
            anstream::eprintln!("  {FAINT}because:{FAINT:#} {text}");
        }
    }
    if let Some(advice) = failure.advice() {
        anstream::eprintln!("  {HINT}help:{HINT:#} {advice}");
    }
}
