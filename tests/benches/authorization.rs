//! What it costs to decide about a call: by a token seen before, by a new one, and where it is refused.
#![expect(missing_docs, reason = "criterion's macro makes a public function")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use mcp_proto::POLICIES;
use mcp_tenancy::{Admission, Gate, IssuerKeys, PeerIdentity, TokenKind, Verifier};
use mcp_testkit::TestIssuer;
use mcp_types::{Clock as _, SystemClock};

fn authorization(criterion: &mut Criterion) {
    let issuer = TestIssuer::new();
    let access = issuer.live_access();
    let policy = POLICIES.of("/mcp.context.v1.ContextService/GetContext").expect("a policy");
    let (gateway, stranger) =
        (PeerIdentity::service("gateway", [1; 32]), PeerIdentity::service("ca", [2; 32]));
    let admission = Admission { tenant_header: Some("acme") };
    let now = SystemClock.now();
    let token = issuer.transaction_token(|claims| claims.scope = "context.read".to_owned());
    let lacking = issuer.transaction_token(|claims| claims.scope = "context.write".to_owned());
    let decide = |token: &str, peer: &PeerIdentity| {
        Gate::admit_peer(policy, peer)?;
        let credential = access.verify_on_mesh(token, now)?;
        Gate::admit_user(policy, peer, &credential, admission)
    };

    decide(&token, &gateway).expect("admitted");
    criterion.bench_function("authorization: known token", |bencher| {
        bencher.iter(|| black_box(decide(black_box(&token), &gateway)).is_ok());
    });

    let claims = issuer.claims(TokenKind::Transaction);
    let entry = IssuerKeys {
        kind: TokenKind::Transaction,
        issuer: claims.iss,
        audience: claims.aud,
        jwks: issuer.jwks(TokenKind::Transaction),
    };
    // Without the cache, since a token is new only once.
    let verifier = Verifier::new(entry, POLICIES).expect("usable keys");
    verifier.verify(&token, now).expect("verified");
    criterion.bench_function("authorization: new token", |bencher| {
        bencher.iter(|| black_box(verifier.verify(black_box(&token), now)).is_ok());
    });

    decide(&lacking, &gateway).expect_err("refused");
    criterion.bench_function("authorization: refused, no permission", |bencher| {
        bencher.iter(|| black_box(decide(black_box(&lacking), &gateway)).is_err());
    });
    criterion.bench_function("authorization: refused, wrong peer", |bencher| {
        bencher.iter(|| black_box(decide(black_box(&token), &stranger)).is_err());
    });
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    decide(&forged, &gateway).expect_err("refused");
    criterion.bench_function("authorization: refused, forged signature", |bencher| {
        bencher.iter(|| black_box(decide(black_box(&forged), &gateway)).is_err());
    });
}

criterion_group!(benches, authorization);
criterion_main!(benches);
