//! What a decision costs, with ten thousand keys known.
#![expect(missing_docs, reason = "criterion's macro makes a public function")]

use std::{hint::black_box, net::IpAddr};

use criterion::{Criterion, criterion_group, criterion_main};
use mcp_limit::{IpLimit, LimitClock, Limits, Quotas, Rate};
use mcp_tenancy::RateClass;

fn decisions(criterion: &mut Criterion) {
    let limits = Limits::new(Quotas::default(), LimitClock::machine());
    let keys: Vec<_> = (0..10_000).map(|n| limits.key(&["acme", &format!("user-{n}")])).collect();
    let mut at = 0;
    criterion.bench_function("limit: budget of a key", |bencher| {
        bencher.iter(|| {
            at = (at + 1) % keys.len();
            black_box(limits.check(keys[at], RateClass::Read))
        });
    });

    let limit = IpLimit::new(Rate::default(), LimitClock::machine());
    let sources: Vec<_> = (0..10_000_u32).map(|n| IpAddr::V4((0x0a00_0000 + n).into())).collect();
    criterion.bench_function("limit: window of an address", |bencher| {
        bencher.iter(|| {
            at = (at + 1) % sources.len();
            black_box(limit.check(sources[at]))
        });
    });
}

criterion_group!(benches, decisions);
criterion_main!(benches);
