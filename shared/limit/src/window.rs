//! The moments at which one source was admitted, as far back as they count.

use std::{collections::VecDeque, time::Duration};

use crate::{Exceeded, Rate, Remaining, clock::nanos};

/// The moments at which a source was admitted within the last window, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Window {
    admitted_ns: VecDeque<u64>,
}

// === impl Window ===

impl Window {
    /// Admits a call at `now_ns` where fewer than `rate` allows were admitted in the window before it.
    ///
    /// Both ends of the window count, so that no two moments exactly a window apart add up to more.
    pub(crate) fn admit(&mut self, now_ns: u64, rate: Rate) -> Result<Remaining, Exceeded> {
        self.forget(now_ns, rate);
        let calls_max = rate.calls_max();
        let spent = u32::try_from(self.admitted_ns.len()).unwrap_or(u32::MAX);
        if spent >= calls_max {
            let oldest = self.admitted_ns.front().copied().unwrap_or(now_ns);
            let free_at = oldest.saturating_add(nanos(rate.window())).saturating_add(1);
            let retry_after = Duration::from_nanos(free_at.saturating_sub(now_ns).max(1));
            return Err(Exceeded { calls_max, retry_after });
        }
        self.admitted_ns.push_back(now_ns);
        Ok(Remaining { calls_max, calls: calls_max - spent - 1, full_after: rate.window() })
    }

    /// Forgets what no longer counts at `now_ns`, and says whether nothing is left.
    pub(crate) fn forget(&mut self, now_ns: u64, rate: Rate) -> bool {
        let window_ns = nanos(rate.window());
        while self.admitted_ns.front().is_some_and(|&then| now_ns.saturating_sub(then) > window_ns) {
            self.admitted_ns.pop_front();
        }
        self.admitted_ns.is_empty()
    }
}
