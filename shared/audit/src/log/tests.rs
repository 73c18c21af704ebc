//! What the tree proves, what a check finds, and that other hands agree.

use std::io::BufReader;

use mcp_types::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::{AuditRow, Decision};

/// Chance that repeats, so that a failing test does too.
#[derive(Debug, Default)]
struct Counting(std::sync::atomic::AtomicU64);

impl mcp_types::Entropy for Counting {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let next = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, std::sync::atomic::Ordering::SeqCst);
            chunk.copy_from_slice(&next.to_be_bytes()[..chunk.len()]);
        }
    }
}

/// A log of `size` rows, held in memory.
struct Log {
    signer: LogSigner,
    origin: Origin,
    entries: Vec<Entry>,
}

impl Log {
    fn of(size: u64) -> Self {
        let entropy = Counting::default();
        let row = |at: u64| AuditRow {
            principal: Some(format!("user-{at}").into()),
            decision: Some(Decision::Allow),
            ..AuditRow::at(Timestamp::from_unix_millis(i64::try_from(at).expect("fits")))
        };
        Self {
            signer: LogSigner::from_seed(&[7; SEED_BYTES]).expect("a seed"),
            origin: origin("acme"),
            entries: (0..size).map(|at| Entry::of(&row(at), &entropy).expect("json")).collect(),
        }
    }

    fn key(&self) -> LogKey {
        self.signer.key(&self.origin)
    }

    fn tree(&self, size: usize) -> Tree {
        Tiles::over(self.entries[..size].iter().map(|entry| entry.leaf().hash())).0
    }

    fn checkpoint(&self, size: usize) -> Checkpoint {
        self.signer.sign(&self.origin, &self.tree(size)).expect("signed")
    }

    fn tiles(&self) -> Tiles {
        Tiles::over(self.entries.iter().map(|entry| entry.leaf().hash())).1
    }

    /// The export as its lines: the head, then a line for each row.
    fn export(&self) -> Vec<String> {
        let checkpoint = self.checkpoint(self.entries.len());
        let mut export = ExportWriter::begin(Vec::new(), &self.key(), &checkpoint).expect("written");
        for (at, entry) in (0..).zip(&self.entries) {
            export.row(Some(at), &entry.leaf(), Some(entry)).expect("written");
        }
        let text = String::from_utf8(export.finish().expect("written")).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    /// Checks an export against the log's own key and checkpoints of these sizes.
    fn verify(&self, export: &[String], older: &[usize]) -> Verified {
        let text = export.join("\n");
        let reader = ExportReader::begin(BufReader::new(text.as_bytes())).expect("an export");
        let mut check = Verification::of(self.key(), reader.checkpoint().clone());
        for size in older {
            check = check.against(self.checkpoint(*size));
        }
        check.run(reader).expect("read to its end")
    }
}

fn origin(tenant: &str) -> Origin {
    let tenant = tenant.parse().expect("a slug");
    Origin::of(&"mcp.local".parse().expect("a domain"), &"context".parse().expect("a name"), Some(&tenant))
}

// === the tree ===

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_root_is_that_of_rfc_6962_at_every_size(size in 0_u64..1500) {
        let leaf = |at: u64| tlog_tiles::record_hash(&at.to_be_bytes());
        let (tree, tiles) = Tiles::over((0..size).map(leaf));
        prop_assert_eq!(tree.root(), defined(&(0..size).map(leaf).collect::<Vec<_>>()));
        prop_assert_eq!(tree.root(), tlog_tiles::tree_hash(size, &tiles).expect("all tiles are there"));
        // What was written down as tiles goes on where it stopped.
        let resumed = Tree::resume(size, tree.edge()).expect("its own edge");
        prop_assert_eq!(resumed, tree);
    }

    #[test]
    fn every_row_is_proved_and_no_other_in_its_place(size in 1_usize..700, at in 0_usize..700, older in 1_usize..700) {
        let (at, older) = (at % size, older % size + 1);
        let log = Log::of(size as u64);
        let (tiles, checkpoint) = (log.tiles(), log.checkpoint(size));
        let proof = Inclusion::prove(checkpoint.clone(), at as u64, &tiles).expect("proved");
        let read: Inclusion = proof.to_text().parse().expect("reads back");
        prop_assert_eq!(&read, &proof);
        read.verify(log.entries[at].leaf().hash(), &log.key()).expect("holds");
        let other = log.entries[(at + 1) % size].leaf().hash();
        prop_assert_eq!(read.verify(other, &log.key()).is_err(), size > 1);

        let grown = Consistency::prove(size as u64, older as u64, &tiles).expect("proved");
        grown.verify(&checkpoint, &log.checkpoint(older)).expect("holds");
        let mut edited = Log::of(size as u64);
        edited.entries[older - 1] = Entry::bare(b"{}".to_vec());
        prop_assert!(grown.verify(&checkpoint, &edited.checkpoint(older)).is_err());
    }
}

/// The root as RFC 6962 defines it, word for word.
fn defined(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => tlog_tiles::EMPTY_HASH,
        [one] => *one,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            tlog_tiles::node_hash(defined(&leaves[..split]), defined(&leaves[split..]))
        }
    }
}

#[test]
fn only_the_tiles_that_a_proof_reads_are_asked_for() {
    let log = Log::of(70_000);
    let (size, checkpoint) = (70_000, log.checkpoint(70_000));
    let all = log.tiles();
    for index in [0, 255, 256, 65_535, 65_536, 69_999] {
        let wanted = Wanted::by_inclusion(size, index).expect("inside");
        assert!(wanted.0.len() <= 5, "{wanted:?}");
        let some: Tiles = all.clone().only(&wanted).collect();
        let proof = Inclusion::prove(checkpoint.clone(), index, &some).expect("enough tiles");
        let at = usize::try_from(index).expect("fits");
        proof.verify(log.entries[at].leaf().hash(), &log.key()).expect("holds");
    }
    assert!(matches!(Wanted::by_inclusion(size, size), Err(BadProof::Outside { .. })));
    assert!(matches!(Wanted::by_consistency(size, 0), Err(BadProof::Outside { .. })));
}

#[test]
fn an_edge_of_another_size_is_refused() {
    let tree = Log::of(300).tree(300);
    for size in [299, 301, 44, u64::MAX] {
        assert!(Tree::resume(size, tree.edge()).is_err(), "{size}");
    }
    assert!(Tree::resume(300, []).is_err());
}

// === checkpoints ===

#[test]
fn a_checkpoint_is_believed_from_its_own_key_for_its_own_log_alone() {
    let log = Log::of(5);
    let checkpoint = log.checkpoint(5);
    let read: Checkpoint = checkpoint.note().parse().expect("reads back");
    read.verify(&log.key()).expect("signed");
    let key: LogKey = log.key().to_string().parse().expect("reads back");
    assert_eq!(key, log.key());

    let other = LogSigner::from_seed(&[8; SEED_BYTES]).expect("a seed");
    assert!(matches!(read.verify(&other.key(&log.origin)), Err(BadCheckpoint::Signature { .. })));
    assert!(matches!(read.verify(&log.signer.key(&origin("globex"))), Err(BadCheckpoint::OtherLog { .. })));
    let grown: Checkpoint = checkpoint.note().replacen("\n5\n", "\n6\n", 1).parse().expect("well formed");
    assert!(matches!(grown.verify(&log.key()), Err(BadCheckpoint::Signature { .. })));
}

#[test]
fn the_notes_own_crate_accepts_what_is_signed_here() {
    let log = Log::of(9);
    let verifier = signed_note::StandardVerifier::new(&log.key().to_string()).expect("a verifier key");
    let note = signed_note::Note::from_bytes(log.checkpoint(9).note().as_bytes()).expect("a note");
    let (verified, unknown) =
        note.verify(&signed_note::VerifierList::new(vec![Box::new(verifier)])).expect("verified");
    assert_eq!((verified.len(), unknown.len()), (1, 0));
}

#[test]
fn a_services_own_log_is_not_that_of_a_tenant_called_so() {
    let (domain, service) = ("mcp.local".parse().expect("a domain"), "context".parse().expect("a name"));
    assert_eq!(Origin::of(&domain, &service, None).as_str(), "mcp/mcp.local/context");
    assert_eq!(origin("platform").as_str(), "mcp/mcp.local/context/platform");
}

// === entries ===

#[test]
fn an_entry_survives_its_line_and_its_store() {
    let log = Log::of(2);
    let mut text = Vec::new();
    for entry in &log.entries {
        write_line(&mut text, entry);
    }
    let lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 3);
    for (line, entry) in lines.iter().zip(&log.entries) {
        assert_eq!(&entry_of_line(line), entry);
        // Whoever knows nothing of salts reads the row.
        assert_eq!(serde_json::from_slice::<AuditRow>(line).expect("a row"), entry.row().expect("a row"));
        assert_eq!(&Entry::from_bytes(&entry.to_bytes()).expect("an entry"), entry);
    }
    for torn in [&lines[0][..40], b"", b"\xff\"}"] {
        assert_eq!(entry_of_line(torn), Entry::bare(torn.to_vec()));
    }
}

#[test]
fn a_leaf_tells_nothing_of_its_row_and_an_entry_prints_none_of_it() {
    let row = AuditRow { principal: Some("zebra".into()), ..AuditRow::at(Timestamp::default()) };
    let entropy = Counting::default();
    let [one, two] = [0; 2].map(|_| Entry::of(&row, &entropy).expect("json"));
    assert_ne!(one.leaf(), two.leaf(), "the same row twice");
    assert!(!format!("{one:?}").contains("zebra"));
    assert_ne!(Entry::bare(one.to_bytes()).leaf(), one.leaf(), "a salt cannot be passed off as content");
}

// === what a check finds ===

#[test]
fn an_untouched_log_is_sound_against_every_older_checkpoint() {
    let log = Log::of(600);
    let found = log.verify(&log.export(), &[0, 1, 255, 256, 257, 599, 600]);
    assert!(found.is_sound(), "{found:?}");
    assert_eq!((found.rows, found.size, found.sound), (600, 600, 600));
}

#[test]
fn an_edited_row_is_found_where_it_stands() {
    let log = Log::of(300);
    let mut export = log.export();
    export[1 + 17] = export[1 + 17].replace("user-17", "user-18");
    assert_eq!(log.verify(&export, &[]).findings, [Finding::Edited { at: 17 }]);
}

#[test]
fn an_edited_row_with_a_leaf_to_match_is_found_between_two_checkpoints() {
    let log = Log::of(300);
    let mut forged = Log::of(300);
    let row = AuditRow { principal: Some("mallory".into()), ..AuditRow::at(Timestamp::default()) };
    forged.entries[150] = Entry::of(&row, &Counting::default()).expect("json");
    let mut export = forged.export();
    export[0] = log.export()[0].clone();
    let found = log.verify(&export, &[100, 200]).findings;
    let changed = |size| Finding::Changed { sound: 100, size };
    assert_eq!(found, [changed(200), changed(300)]);
}

#[test]
fn a_dropped_row_is_found_even_where_the_rest_was_numbered_anew() {
    let log = Log::of(300);
    let mut export = log.export();
    export.remove(1 + 40);
    let found = log.verify(&export, &[]);
    assert!(found.findings.contains(&Finding::OutOfPlace { at: 40, stated: 41 }), "{found:?}");
    assert_eq!(found.findings.len() as u64 + found.more_findings, 259 + 1, "each row behind it, and the cut");

    let mut forged = Log::of(300);
    forged.entries.remove(40);
    let mut export = forged.export();
    export[0] = log.export()[0].clone();
    assert_eq!(log.verify(&export, &[]).findings, [Finding::Cut { rows: 299, signed: 300 }]);
}

#[test]
fn an_added_row_is_found() {
    let log = Log::of(300);
    let mut forged = Log::of(300);
    let added = forged.entries[3].clone();
    forged.entries.insert(100, added);
    let mut export = forged.export();
    export[0] = log.export()[0].clone();
    assert_eq!(log.verify(&export, &[]).findings, [Finding::Changed { sound: 0, size: 300 }]);
}

#[test]
fn reordered_rows_are_found_with_their_places_or_without() {
    let log = Log::of(300);
    let mut export = log.export();
    export.swap(1 + 7, 1 + 8);
    let found = log.verify(&export, &[]).findings;
    assert!(found.contains(&Finding::OutOfPlace { at: 7, stated: 8 }), "{found:?}");

    let mut forged = Log::of(300);
    forged.entries.swap(7, 8);
    let mut export = forged.export();
    export[0] = log.export()[0].clone();
    assert_eq!(log.verify(&export, &[]).findings, [Finding::Changed { sound: 0, size: 300 }]);
}

#[test]
fn a_cut_tail_is_found_against_an_older_checkpoint_though_the_key_signed_the_rest() {
    let log = Log::of(300);
    let mut cut = Log::of(300);
    cut.entries.truncate(200);
    // The holder of the key cut the tail and signed what is left: by itself that is sound.
    assert!(log.verify(&cut.export(), &[150]).is_sound());
    assert_eq!(log.verify(&cut.export(), &[250]).findings, [Finding::Cut { rows: 200, signed: 250 }]);
}

#[test]
fn a_rewritten_history_signed_anew_is_found_against_an_older_checkpoint() {
    let log = Log::of(300);
    let mut forged = Log::of(300);
    forged.entries[10] = Entry::bare(b"{\"time\":\"1970-01-01T00:00:00.000Z\"}".to_vec());
    assert!(log.verify(&forged.export(), &[]).is_sound(), "what the key's holder signs is sound by itself");
    assert_eq!(log.verify(&forged.export(), &[200]).findings, [Finding::Changed { sound: 0, size: 200 }]);
}

#[test]
fn a_log_signed_by_somebody_else_is_not_believed() {
    let log = Log::of(30);
    let mut other = Log::of(30);
    other.signer = LogSigner::from_seed(&[9; SEED_BYTES]).expect("a seed");
    let found = log.verify(&other.export(), &[]).findings;
    assert!(matches!(&found[..], [Finding::NotSigned { size: 30, .. }]), "{found:?}");
}

#[test]
fn erased_rows_leave_the_log_sound_and_are_counted() {
    let log = Log::of(40);
    let checkpoint = log.checkpoint(40);
    let mut export = ExportWriter::begin(Vec::new(), &log.key(), &checkpoint).expect("written");
    for (at, entry) in (0..).zip(&log.entries) {
        let kept = (at % 2 == 0).then_some(entry);
        export.row(Some(at), &entry.leaf(), kept).expect("written");
    }
    let text = String::from_utf8(export.finish().expect("written")).expect("text");
    assert!(!text.contains("user-13"));
    let found = log.verify(&text.lines().map(str::to_owned).collect::<Vec<_>>(), &[20]);
    assert!(found.is_sound(), "{found:?}");
    assert_eq!((found.rows, found.erased), (40, 20));
}

#[test]
fn rows_that_wait_for_their_place_are_counted_and_not_vouched_for() {
    let log = Log::of(10);
    let mut export = log.export();
    let waiting = Entry::bare(b"{\"time\":\"1970-01-01T00:00:00.000Z\"}".to_vec());
    let mut writer = ExportWriter::begin(Vec::new(), &log.key(), &log.checkpoint(10)).expect("written");
    writer.row(None, &waiting.leaf(), Some(&waiting)).expect("written");
    let text = String::from_utf8(writer.finish().expect("written")).expect("text");
    export.push(text.lines().nth(1).expect("the row").to_owned());
    let found = log.verify(&export, &[]);
    assert!(found.is_sound(), "{found:?}");
    assert_eq!((found.rows, found.waiting), (10, 1));
}

#[test]
fn what_is_no_export_is_told_by_its_line() {
    let log = Log::of(3);
    let bad = |lines: &[String]| {
        let text = lines.join("\n");
        let reader = ExportReader::begin(BufReader::new(text.as_bytes()))?;
        Verification::of(log.key(), reader.checkpoint().clone()).run(reader).map(drop)
    };
    let whole = log.export();
    assert!(matches!(bad(&whole[1..]), Err(BadExport::Line { line: 1, .. })));
    let mut torn = whole.clone();
    torn[2].truncate(50);
    assert!(matches!(bad(&torn), Err(BadExport::Line { line: 3, .. })));
    let mut half = whole.clone();
    half[3] = half[3].replace("\"salt\"", "\"salty\"");
    assert!(matches!(bad(&half), Err(BadExport::Line { line: 4, .. })));
    assert!(matches!(bad(&[]), Err(BadExport::Line { line: 1, .. })));
    bad(&whole).expect("whole");
}
