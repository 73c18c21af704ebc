//! Where running text goes on from line to line and where it stops: blocks, speakers' labels, list markers.
//!
//! A sentence never leaves its [`Segment`]. A blank line ends a segment, and so does a line break that somebody
//! meant; a break that only wraps long text does not. Telling the two apart needs no dictionary: whoever wraps
//! text moves a word to the next line because it does not fit, so a break where the word would have fitted was meant.

use std::collections::HashMap;

/// Lines that hold one stretch of running text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Segment {
    /// First byte of its first line, before any label or marker.
    pub(super) start: usize,
    /// First byte of its speaker's label, or of its text if it has none.
    pub(super) label: usize,
    /// First byte of its text, after label and marker.
    pub(super) body: usize,
    /// One past its last byte that is not white space.
    pub(super) end: usize,
    /// How it was set out.
    pub(super) kind: Kind,
}

/// How a segment was set out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Plain text.
    Plain,
    /// A turn of a speaker, after "Name: ".
    Turn,
    /// An item of a list, after its marker.
    Item,
    /// A line set apart as a heading or as a row of a table.
    Apart,
}

/// A text's segments and what kind of text it seems to be.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) segments: Vec<Segment>,
    /// Share of the lines that hold text which begin with a speaker's label: 0 to 1.
    pub(super) labelled_share: f64,
}

/// Wrapped text is at most this wide: a longer line shows that lines are not wrapped here.
const WRAP_WIDTH_MAX: usize = 160;
/// And at least this wide: shorter lines are verse, lists or columns.
const WRAP_WIDTH_MIN: usize = 40;
/// A label is at most this many bytes.
const LABEL_BYTES_MAX: usize = 48;
/// A label is at most this many words.
const LABEL_WORDS_MAX: usize = 4;
/// Where at least this share of lines begin like a label, each of them is one.
const LABEL_SHARE_MIN: f64 = 0.4;

/// A line that holds text; all three are byte positions.
#[derive(Clone, Copy, Debug)]
struct Line {
    start: usize,
    text: usize,
    end: usize,
    /// Whether the line before it is blank, or there is none.
    opens_block: bool,
}

// === impl Layout ===

impl Layout {
    /// Reads the layout of `text`.
    pub(super) fn of(text: &str) -> Self {
        let lines = lines(text);
        let labels = labels(text, &lines);
        let labelled = labels.iter().filter(|label| label.is_some()).count();
        let labelled_share = share(labelled, lines.len());

        let mut segments = Vec::new();
        let mut at = 0;
        while at < lines.len() {
            let block_end = lines[at + 1..]
                .iter()
                .position(|line| line.opens_block)
                .map_or(lines.len(), |offset| at + 1 + offset);
            block(text, &lines[at..block_end], &labels[at..block_end], &mut segments);
            at = block_end;
        }
        Self { segments, labelled_share }
    }
}

/// Cuts one block of lines into segments.
fn block(text: &str, lines: &[Line], labels: &[Option<usize>], segments: &mut Vec<Segment>) {
    let width = lines.iter().map(|line| chars(text, line.start, line.end)).max().unwrap_or(0);
    let wrapped = (WRAP_WIDTH_MIN..=WRAP_WIDTH_MAX).contains(&width);

    for (index, (line, label)) in lines.iter().zip(labels).enumerate() {
        let content = &text[line.text..line.end];
        let before = index.checked_sub(1).map(|index| &lines[index]);
        let marker = marker(content, before.is_none_or(|before| ends_firmly(&text[before.text..before.end])));

        let (kind, body) = match (label, marker) {
            (Some(label_end), _) => (Kind::Turn, *label_end),
            (None, Some((kind, bytes))) => (kind, line.text + bytes),
            (None, None) => (Kind::Plain, line.text),
        };
        let body = body + leading_space(&text[body..line.end]);
        let goes_on = kind == Kind::Plain
            && wrapped
            && before.is_some_and(|before| !meant(text, before, line, width))
            && segments.last().is_some_and(|last| last.kind != Kind::Apart);

        match segments.last_mut() {
            Some(last) if goes_on => last.end = line.end,
            _ => {
                let label = if kind == Kind::Turn { line.text } else { body };
                segments.push(Segment { start: line.start, label, body, end: line.end, kind });
            }
        }
    }
}

/// Whether the break between two lines was meant, rather than forced by the width.
fn meant(text: &str, before: &Line, line: &Line, width: usize) -> bool {
    let content = &text[line.text..line.end];
    let first_word = content.split_whitespace().next().unwrap_or_default();
    // Not everybody fills each line to the brim.
    let slack = width / 8;
    let would_fit = chars(text, before.start, before.end) + 1 + first_word.chars().count() + slack <= width;
    let runs_on = content.starts_with(|c: char| c.is_lowercase() || matches!(c, '(' | ',' | ';'))
        && !ends_firmly(&text[before.text..before.end]);
    would_fit && !runs_on
}

/// Whether `line` ends like something that is complete.
fn ends_firmly(line: &str) -> bool {
    line.trim_end_matches(['"', '\'', '”', '’', ')', ']'])
        .ends_with(['.', '!', '?', ':', ';', '…', '。', '！', '？', '।', '؟', '۔'])
}

/// The marker that `content` begins with: what it makes of the line, and its bytes.
///
/// A number is a marker only where the line before is complete (`may_number`): wrapped text may well bring
/// "12. " to the start of a line.
fn marker(content: &str, may_number: bool) -> Option<(Kind, usize)> {
    let bytes = content.as_bytes();
    let spaced = |at: usize| content[at..].starts_with([' ', '\t']);

    let hashes = bytes.iter().take_while(|byte| **byte == b'#').count();
    if (1..=6).contains(&hashes) && spaced(hashes) {
        return Some((Kind::Apart, hashes));
    }
    let first = content.chars().next()?;
    if first == '|' {
        return Some((Kind::Apart, 1));
    }
    if matches!(first, '-' | '*' | '+' | '•' | '‣' | '·' | '◦' | '▪' | '–' | '—') && spaced(first.len_utf8())
    {
        return Some((Kind::Item, first.len_utf8()));
    }
    if !may_number {
        return None;
    }
    let opened = usize::from(first == '(');
    let digits = bytes[opened..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let letters = bytes[opened..].iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    let counted = match (digits, letters) {
        (1..=3, _) => digits,
        (0, 1) => 1,
        _ => return None,
    };
    let closes = match bytes.get(opened + counted)? {
        b')' => true,
        // "a. " may end a sentence; "1. " at the start of a line does not.
        b'.' => opened == 0 && digits > 0,
        _ => false,
    };
    (closes && spaced(opened + counted + 1)).then_some((Kind::Item, opened + counted + 1))
}

/// For each line, the end of its speaker's label, if it has one.
///
/// One line that begins "Note: " makes no dialogue: a label counts where it comes back, or where lines
/// that look labelled are many.
fn labels(text: &str, lines: &[Line]) -> Vec<Option<usize>> {
    let mut found: Vec<Option<usize>> =
        lines.iter().map(|line| label(&text[line.text..line.end]).map(|bytes| line.text + bytes)).collect();

    let mut times: HashMap<&str, usize> = HashMap::new();
    for (line, end) in lines.iter().zip(&found) {
        if let Some(end) = end {
            *times.entry(&text[line.text..*end]).or_default() += 1;
        }
    }
    let many = share(found.iter().flatten().count(), lines.len()) >= LABEL_SHARE_MIN && lines.len() > 1;
    for (line, end) in lines.iter().zip(&mut found) {
        *end = end.filter(|end| many || times.get(&text[line.text..*end]).is_some_and(|times| *times > 1));
    }
    found
}

/// The bytes of the label that `content` begins with, colon included.
fn label(content: &str) -> Option<usize> {
    let mut window = content.len().min(LABEL_BYTES_MAX);
    while !content.is_char_boundary(window) {
        window -= 1;
    }
    let colon = content[..window].find([':', '：'])?;
    let name = &content[..colon];
    let end = colon + content[colon..].chars().next().map_or(0, char::len_utf8);
    let followed = content[end..].chars().next().is_some_and(|next| next.is_whitespace() || end - colon > 1);
    let begins = name.starts_with(|first: char| {
        first.is_alphabetic() && !first.is_lowercase() || matches!(first, '#' | '[' | '<')
    });
    let fits = name.chars().all(|letter| {
        letter.is_alphanumeric()
            || matches!(letter, ' ' | '#' | '_' | '-' | '.' | '\'' | '’' | '[' | ']' | '<' | '>')
    });
    let named = name.chars().any(char::is_alphanumeric);
    (followed && begins && fits && named && name.split_whitespace().count() <= LABEL_WORDS_MAX).then_some(end)
}

/// The lines of `text` that hold more than white space.
fn lines(text: &str) -> Vec<Line> {
    let bytes = text.as_bytes();
    let mut lines = Vec::new();
    let mut opens_block = true;
    let mut start = 0;
    while start < bytes.len() {
        let (end, next) = line_end(bytes, start);
        let line = &text[start..end];
        let trimmed_end = start + line.trim_end().len();
        if trimmed_end == start {
            opens_block = true;
        } else {
            lines.push(Line { start, text: start + leading_space(line), end: trimmed_end, opens_block });
            opens_block = false;
        }
        start = next;
    }
    lines
}

/// Where the line that begins at `start` ends, and where the next begins. The breaks are those of UAX 14's
/// mandatory classes, so that no word reaches from one line into the next.
fn line_end(bytes: &[u8], start: usize) -> (usize, usize) {
    let mut at = start;
    while at < bytes.len() {
        let width = match &bytes[at..] {
            [b'\r', b'\n', ..] => 2,
            [b'\n' | 0x0b | 0x0c | b'\r', ..] => 1,
            [0xc2, 0x85, ..] => 2,
            [0xe2, 0x80, 0xa8 | 0xa9, ..] => 3,
            _ => 0,
        };
        if width > 0 {
            return (at, at + width);
        }
        at += 1;
    }
    (at, at)
}

fn leading_space(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

fn chars(text: &str, start: usize, end: usize) -> usize {
    text[start..end].chars().count()
}

#[expect(clippy::cast_precision_loss, reason = "counts of lines are far below 2^52")]
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Layout};

    fn segments(text: &str) -> Vec<(Kind, &str)> {
        let layout = Layout::of(text);
        layout.segments.iter().map(|segment| (segment.kind, &text[segment.body..segment.end])).collect()
    }

    fn plain(text: &str) -> Vec<String> {
        segments(text).into_iter().map(|(_, body)| body.replace('\n', "/")).collect()
    }

    #[test]
    fn a_blank_line_ends_a_segment() {
        for blank in ["\n\n", "\r\n\r\n", "\n  \t \n", "\u{2029}\u{2029}", "\n\u{a0}\n"] {
            assert_eq!(plain(&format!("One{blank}two")), ["One", "two"], "{blank:?}");
        }
    }

    #[test]
    fn wrapped_lines_are_one_segment() {
        let wrapped = "The quick brown fox jumps over the lazy dog and\nthen it goes home to its den, where a supper waits";
        assert_eq!(plain(wrapped).len(), 1);
    }

    #[test]
    fn a_break_where_the_next_word_would_have_fitted_was_meant() {
        let address =
            "The quick brown fox jumps over the lazy dog at noon\nGreen Lane 5\nThe quick brown fox";
        assert_eq!(plain(address).len(), 2, "{:?}", plain(address));
    }

    #[test]
    fn lines_too_long_to_be_wrapped_end_where_they_end() {
        let long = format!("{}\n{}", "word ".repeat(60), "word ".repeat(60));
        assert_eq!(plain(&long).len(), 2);
    }

    #[test]
    fn items_of_lists_stand_alone_without_their_markers() {
        let list = "- One\n* two\n\u{2022} three\n\n1. four\n\n(a) five\n\n12) six";
        let items: Vec<_> = segments(list);
        assert_eq!(
            items.iter().map(|(_, body)| *body).collect::<Vec<_>>(),
            ["One", "two", "three", "four", "five", "six"]
        );
        assert!(items.iter().all(|(kind, _)| *kind == Kind::Item));
    }

    #[test]
    fn a_number_that_wrapping_brought_to_the_start_of_a_line_is_no_marker() {
        let wrapped = "It was long ago, and the travellers were only\n12. The others were older than that by some years";
        assert_eq!(plain(wrapped).len(), 1);
    }

    #[test]
    fn headings_and_rows_of_tables_are_set_apart() {
        assert_eq!(
            segments("# The title\nSome text.\n| a | b |"),
            [(Kind::Apart, "The title"), (Kind::Plain, "Some text."), (Kind::Apart, "a | b |")]
        );
    }

    #[test]
    fn speakers_are_set_aside_where_labels_come_back() {
        let talk = "Ann B: Hello there.\n#Person2#: Hi.\nAnn B: Bye: now.\n#Person2#: Yes.";
        let turns: Vec<_> = segments(talk);
        assert_eq!(
            turns,
            [
                (Kind::Turn, "Hello there."),
                (Kind::Turn, "Hi."),
                (Kind::Turn, "Bye: now."),
                (Kind::Turn, "Yes.")
            ]
        );
        assert!((Layout::of(talk).labelled_share - 1.0).abs() < 1e-9);
    }

    #[test]
    fn one_note_in_a_text_is_no_speaker() {
        let text = "First comes this.\n\nNote: that is not a name.\n\nThen that.\n\nAnd the end.";
        assert!(segments(text).iter().all(|(kind, _)| *kind == Kind::Plain));
    }

    #[test]
    fn neither_addresses_nor_times_are_labels() {
        assert!(
            segments("Https://a.example\nHttps://b.example").iter().all(|(kind, _)| *kind == Kind::Plain)
        );
        assert!(segments("12:30 to 13:00\n12:30 to 14:00").iter().all(|(kind, _)| *kind == Kind::Plain));
    }
}
