//! The thread that writes: a batch at a time, one sync for all who wait for it.

use std::{io, sync::Arc};

use super::{
    Medium,
    queue::{Batch, Queue},
    witness::Witness,
};
use crate::{
    AuditLost, AuditRow, ROWS_LOST,
    log::{Entry, write_line},
};

/// A buffer grown beyond this by a burst is given back.
const BUFFER_BYTES_KEPT: usize = 1024 * 1024;

/// Tells all who wait that nothing more will be written, however the thread ends.
struct Abandon<'a>(&'a Queue);

/// Writes what `queue` gives to `medium` until it is closed.
pub(super) fn run(queue: &Queue, mut medium: impl Medium, mut witness: Option<Witness>) {
    let _abandon = Abandon(queue);
    let mut failing = false;
    let mut text = Vec::new();
    while let Some(batch) = queue.next(witness.as_ref().and_then(|it| it.rest(queue.now()))) {
        text.clear();
        text.shrink_to(BUFFER_BYTES_KEPT);
        // An empty batch says that the rows written last have rested long enough.
        let has_rested = batch.entries.is_empty() && batch.lost == 0;
        let outcome = write(queue, &batch, &mut text, &mut medium, witness.as_ref());
        match &outcome {
            Ok(()) if failing => tracing::info!("audit rows are written again"),
            Err(error) if !failing => {
                tracing::error!(error = error as &dyn std::error::Error, "cannot write audit rows");
            }
            Ok(()) | Err(_) => {}
        }
        failing = outcome.is_err();
        answer(queue, batch, outcome);
        if let Some(witness) = &mut witness {
            if !text.is_empty() {
                witness.written();
            }
            sign(witness, &mut medium, queue, has_rested);
        }
    }
    if let Err(error) = medium.sync() {
        tracing::error!(error = &error as &dyn std::error::Error, "cannot sync the audit log");
    }
    if let Some(witness) = &mut witness {
        witness.sign(queue.now());
    }
}

/// Signs what was written where that is due. A checkpoint covers only what is on the disk, so that first.
fn sign(witness: &mut Witness, medium: &mut impl Medium, queue: &Queue, has_rested: bool) {
    let now = queue.now();
    let is_due = witness.rest(now).is_some_and(|rest| rest.is_zero() || has_rested);
    if !is_due {
        return;
    }
    match medium.sync() {
        Ok(()) => witness.sign(now),
        Err(_) => witness.postpone(now),
    }
}

fn write(
    queue: &Queue,
    batch: &Batch,
    text: &mut Vec<u8>,
    medium: &mut impl Medium,
    witness: Option<&Witness>,
) -> io::Result<()> {
    if batch.lost > 0 {
        // The log tells of its own gaps.
        let lost =
            AuditRow { reason: Some(ROWS_LOST.into()), count: Some(batch.lost), ..AuditRow::at(queue.now()) };
        put(text, &lost, witness)?;
    }
    for row in batch.entries.iter().filter_map(|entry| entry.row.as_ref()) {
        put(text, row, witness)?;
    }
    if !text.is_empty() {
        medium.append(text)?;
    }
    if batch.entries.iter().any(|entry| entry.answer.is_some()) {
        medium.sync()?;
    }
    Ok(())
}

fn put(text: &mut Vec<u8>, row: &AuditRow, witness: Option<&Witness>) -> io::Result<()> {
    match witness {
        Some(witness) => write_line(text, &Entry::of(row, witness.entropy())?),
        None => {
            serde_json::to_writer(&mut *text, row)?;
            text.push(b'\n');
        }
    }
    Ok(())
}

fn answer(queue: &Queue, batch: Batch, outcome: io::Result<()>) {
    let outcome = outcome.map_err(|error| AuditLost::Disk(Arc::new(error)));
    if outcome.is_err() {
        // Whoever waits is told; of the others the log itself shall tell once it can.
        let untold = batch.entries.iter().filter(|it| it.answer.is_none() && it.row.is_some()).count();
        queue.count_lost(batch.lost + u64::try_from(untold).unwrap_or(u64::MAX));
    }
    for answer in batch.entries.into_iter().filter_map(|entry| entry.answer) {
        // Whoever no longer waits does not need to know.
        let _ = answer.send(outcome.clone());
    }
}

// === impl Abandon ===

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
