//! W3C trace context: where a call stands in a trace (Trace Context, section 3.2).

use std::fmt;

use mcp_types::Entropy;

/// A trace and one span of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    sampled: bool,
}

// === impl TraceContext ===

impl TraceContext {
    /// Begins a trace.
    pub fn begin(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 24];
        entropy.fill(&mut bytes);
        let (trace, span) = bytes.split_at(16);
        // All zeroes is the one forbidden value.
        let trace = u128::from_be_bytes(trace.try_into().unwrap_or([1; 16])).max(1);
        let span = u64::from_be_bytes(span.try_into().unwrap_or([1; 8])).max(1);
        Self { trace, span, sampled: false }
    }

    /// The next span of the trace.
    #[must_use]
    pub fn child(self, entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        Self { span: u64::from_be_bytes(bytes).max(1), ..self }
    }

    /// Reads a `traceparent` header; `None` where it is malformed, which restarts the trace.
    pub fn parse(header: &str) -> Option<Self> {
        let bytes = header.as_bytes();
        if bytes.len() < 55 || !header.is_ascii() || &bytes[..2] == b"ff" {
            return None;
        }
        let version_00 = &bytes[..2] == b"00";
        if (version_00 && bytes.len() != 55) || [2, 35, 52].iter().any(|&at| bytes[at] != b'-') {
            return None;
        }
        if header.bytes().take(55).any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let trace = u128::from_str_radix(&header[3..35], 16).ok().filter(|&trace| trace != 0)?;
        let span = u64::from_str_radix(&header[36..52], 16).ok().filter(|&span| span != 0)?;
        let flags = u8::from_str_radix(&header[53..55], 16).ok()?;
        Some(Self { trace, span, sampled: flags & 1 == 1 })
    }

    /// The trace's ID.
    pub fn trace_id(self) -> TraceId {
        TraceId(self.trace)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

/// A trace's ID; displays as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TraceId(u128);

impl TraceId {
    /// As a number.
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    //! What is a traceparent and what restarts the trace.

    use super::*;

    #[test]
    fn a_header_reads_back_as_it_was_written() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

        assert_eq!(TraceContext::parse(text).map(|trace| trace.to_string()).as_deref(), Some(text));
    }

    #[test]
    fn malformed_headers_restart_the_trace() {
        for text in [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\u{e9}",
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }
}
