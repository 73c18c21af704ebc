//! For every method there is, every call that must be refused: made from the policy table, by no list.
//!
//! Each refusal has its precise status and reason, leaves one audit row and one count, and changes nothing; the last
//! specifications here show that the same calls, put right, are let in.

use mcp_proto::{POLICIES, POOL};
use mcp_tenancy::TokenKind;
use mcp_tests::{
    World,
    cases::{
        self, OPERATOR, PEERS, Policy,
        messages::{self, MALFORMED},
        tokens::Flaw,
        trial::{Case, Door, Trial, at_the_edge, on_the_mesh},
    },
    identity,
    wire::{announced, framed},
    world::Service,
};
use tonic::Code;

#[tokio::test]
async fn on_the_mesh_no_method_hears_a_wrong_peer() {
    let world = World::start().await;
    let mut trial = Trial::begin(&world).await;

    for (policy, host) in cases::mesh() {
        for peer in PEERS.into_iter().filter(|peer| !cases::admits(policy, peer)) {
            // Everything else is right, so that the peer alone can be the reason.
            let token = right_token(&trial, policy).await;
            let case = Case {
                what: "a wrong peer".to_owned(),
                token,
                body: right_body(policy),
                code: Code::PermissionDenied,
                reason: "PEER_NOT_ALLOWED",
                ..on_the_mesh(policy, host, peer)
            };
            trial.refuses(case).await;
        }
    }

    trial.ends().await;
}

#[tokio::test]
async fn at_the_port_for_newcomers_only_a_first_certificate_is_to_be_had() {
    let world = World::start().await;
    let mut trial = Trial::begin(&world).await;

    let here: Vec<_> = cases::mesh()
        .filter(|(policy, host)| *host == Service::Ca && !cases::is_for_newcomers(policy))
        .collect();
    for (policy, host) in here {
        let case = Case {
            what: "no certificate".to_owned(),
            door: Door::Bootstrap,
            counted: Door::Bootstrap,
            body: right_body(policy),
            code: Code::PermissionDenied,
            reason: "PEER_NOT_ALLOWED",
            ..on_the_mesh(policy, host, "")
        };
        trial.refuses(case).await;
    }

    trial.ends().await;
}

#[tokio::test]
async fn on_the_mesh_no_method_believes_a_wrong_token() {
    let world = World::start().await;
    let mut trial = Trial::begin(&world).await;

    for (policy, host) in cases::mesh_of_users() {
        for flaw in Flaw::ALL {
            let token = flaw.token(world.signer().await, TokenKind::Transaction);
            let case = Case {
                what: format!("{flaw:?}"),
                token,
                body: right_body(policy),
                code: Code::Unauthenticated,
                reason: flaw.reason(),
                ..on_the_mesh(policy, host, right_peer(policy))
            };
            trial.refuses(case).await;
        }
    }

    trial.ends().await;
}

#[tokio::test]
async fn on_the_mesh_an_outside_token_counts_only_for_whom_it_is_bound_to() {
    let world = World::start().await;
    let mut trial = Trial::begin(&world).await;
    let signer = world.signer().await;
    let another = identity::thumbprint(&world.identities().service("intruder").await);
    let tokens = [
        ("an outside token", "OUTSIDE_TOKEN_ON_MESH", signer.draft(TokenKind::Access)),
        (
            "an outside token of another",
            "TOKEN_BOUND_TO_ANOTHER",
            signer.draft(TokenKind::Access).bound_to(another),
        ),
        (
            "a bound token of another",
            "TOKEN_BOUND_TO_ANOTHER",
            signer.draft(TokenKind::Transaction).bound_to(another),
        ),
    ];

    for (policy, host) in cases::mesh_of_users() {
        for (what, reason, draft) in &tokens {
            let case = Case {
                what: (*what).to_owned(),
                token: Some(signer.sign(draft)),
                body: right_body(policy),
                code: Code::Unauthenticated,
                reason,
                ..on_the_mesh(policy, host, right_peer(policy))
            };
            trial.refuses(case).await;
        }
    }

    trial.ends().await;
}

#[tokio::test]
async fn on_the_mesh_no_token_opens_another_tenant() {
    let world = World::start().await;
    let mut trial = Trial::begin(&world).await;
    let signer = world.signer().await;
    let globex = signer.draft(TokenKind::Transaction).with(|claims| claims.tenant = "globex".to_owned());

    for (policy, host) in cases::mesh_of_users() {
        let of = |what: &str, code, reason| Case {
            what: what.to_owned(),
            token: Some(signer.sign(&globex)),
            body: right_body(policy),
            code,
            reason,
            ..on_the_mesh(policy, host, right_peer(policy))
        };
        let mismatch = of("another tenant's token", Code::PermissionDenied, "TENANT_MISMATCH");
        trial.refuses(Case { headers: vec![("x-tenant-id", "acme")], ..mismatch }).await;
        for named in
            [vec![("x-tenant-id", "No Slug")], vec![("x-tenant-id", "globex"), ("x-tenant-id", "globex")]]
        {
            let malformed = of("a tenant that is none", Code::InvalidArgument, "TENANT_HEADER");
            trial.refuses(Case { headers: named, ..malformed }).await;
        }
    }

    trial.ends().await;
}

#[tokio::test]
async fn on_the_mesh_no_method_goes_without_its_permission() {
    let world = World::start().await;
    let mut trial = Trial::begin(&world).await;
    let signer = world.signer().await;

    for (policy, host) in cases::mesh_of_users() {
        let permission = cases::permission(policy).expect("a method of users");
        for draft in [
            // Every other permission; and none at all.
            signer.draft(TokenKind::Transaction).without(permission),
            signer.draft(TokenKind::Transaction).with(|claims| claims.scope.clear()),
        ] {
            let case = Case {
                what: format!("without {permission}"),
                token: Some(signer.sign(&draft)),
                body: right_body(policy),
                code: Code::PermissionDenied,
                reason: "PERMISSION_MISSING",
                ..on_the_mesh(policy, host, right_peer(policy))
            };
            trial.refuses(case).await;
        }
    }

    trial.ends().await;
}

#[tokio::test]
async fn on_the_mesh_no_method_takes_more_than_its_size() {
    let world = World::start().await;
    let mut trial = Trial::begin(&world).await;

    for (policy, host) in cases::answered() {
        let token = right_token(&trial, policy).await;
        let case = Case {
            what: "one byte too many".to_owned(),
            token,
            body: announced(policy.request_bytes_max + 1),
            code: Code::ResourceExhausted,
            reason: "REQUEST_TOO_LARGE",
            ..own_door(policy, host)
        };
        if cases::is_foreign_stream(policy) {
            let (_, answer) = trial.send(&case).await;
            assert!(answer.body.is_empty(), "{}: {answer:?}", policy.path);
        } else {
            trial.refuses(case).await;
        }
    }

    trial.ends().await;
}

#[tokio::test]
async fn on_the_mesh_no_handler_sees_a_message_that_breaks_a_rule() {
    let world = World::start().await;
    let mut trial = Trial::begin(&world).await;

    for (policy, host) in cases::mesh() {
        // A foreign protocol has no rules of ours.
        let Some(request) = cases::request(policy) else { continue };
        let mut tried: Vec<_> = messages::broken(&request, policy.request_bytes_max)
            .into_iter()
            .map(|broken| (broken.rule, broken.bytes, "FIELD_INVALID"))
            .collect();
        tried.push(("no message".to_owned(), MALFORMED.to_vec(), "MESSAGE_MALFORMED"));
        for (what, bytes, reason) in tried {
            let token = right_token(&trial, policy).await;
            let case = Case {
                what,
                token,
                body: framed(&bytes),
                code: Code::InvalidArgument,
                reason,
                ..own_door(policy, host)
            };
            trial.refuses(case).await;
        }
    }

    trial.ends().await;
}

#[tokio::test]
async fn a_method_that_there_is_not_is_unimplemented_everywhere() {
    let world = World::start().await;
    let mut trial = Trial::begin(&world).await;
    let services: std::collections::BTreeSet<_> =
        cases::mesh().map(|(policy, host)| (policy.service(), host)).collect();

    for (service, host) in services {
        let path = format!("/{service}/NoSuchMethod");
        for door in [Door::Mesh(host), Door::Edge] {
            let case = Case {
                what: "no such method".to_owned(),
                door,
                counted: door,
                path: &path,
                code: Code::Unimplemented,
                reason: "METHOD_UNKNOWN",
                ..on_the_mesh(&POLICIES.methods[0], host, "gateway")
            };
            trial.refuses(case).await;
        }
    }

    trial.ends().await;
}

#[tokio::test]
async fn at_the_edge_no_method_believes_a_wrong_token() {
    let world = World::start().await;
    let mut trial = Trial::begin(&world).await;

    for policy in cases::edge_of_users() {
        for flaw in Flaw::ALL {
            let token = flaw.token(world.signer().await, TokenKind::Access);
            let case = Case {
                what: format!("{flaw:?}"),
                token,
                body: right_body(policy),
                code: Code::Unauthenticated,
                reason: flaw.reason(),
                ..at_the_edge(policy)
            };
            trial.refuses(case).await;
        }
    }

    trial.ends().await;
}

#[tokio::test]
async fn at_the_edge_nothing_that_a_service_sees_can_be_replayed() {
    let world = World::start().await;
    let mut trial = Trial::begin(&world).await;
    let signer = world.signer().await;
    let gateway = identity::thumbprint(&world.identities().service("gateway").await);

    for policy in cases::edge_of_users() {
        for (what, reason, draft) in [
            ("a transaction token", "TRANSACTION_TOKEN_AT_EDGE", signer.draft(TokenKind::Transaction)),
            ("a bound token", "TOKEN_BOUND_TO_ANOTHER", signer.draft(TokenKind::Access).bound_to(gateway)),
        ] {
            let case = Case {
                what: what.to_owned(),
                token: Some(signer.sign(&draft)),
                body: right_body(policy),
                code: Code::Unauthenticated,
                reason,
                ..at_the_edge(policy)
            };
            trial.refuses(case).await;
        }
    }

    trial.ends().await;
}

#[tokio::test]
async fn at_the_edge_no_token_opens_another_tenant() {
    let world = World::start().await;
    let mut trial = Trial::begin(&world).await;
    let signer = world.signer().await;
    let globex = signer.draft(TokenKind::Access).with(|claims| claims.tenant = "globex".to_owned());

    for policy in cases::edge_of_users() {
        let of = |what: &str, code, reason| Case {
            what: what.to_owned(),
            token: Some(signer.sign(&globex)),
            body: right_body(policy),
            code,
            reason,
            ..at_the_edge(policy)
        };
        let mismatch = of("another tenant's token", Code::PermissionDenied, "TENANT_MISMATCH");
        trial.refuses(Case { headers: vec![("x-tenant-id", "acme")], ..mismatch }).await;
        for named in
            [vec![("x-tenant-id", "No Slug")], vec![("x-tenant-id", "globex"), ("x-tenant-id", "globex")]]
        {
            let malformed = of("a tenant that is none", Code::InvalidArgument, "TENANT_HEADER");
            trial.refuses(Case { headers: named, ..malformed }).await;
        }
    }

    trial.ends().await;
}

#[tokio::test]
async fn at_the_edge_no_method_goes_without_its_permission() {
    let world = World::start().await;
    let mut trial = Trial::begin(&world).await;
    let signer = world.signer().await;

    for policy in cases::edge_of_users() {
        let permission = cases::permission(policy).expect("a method of users");
        let case = Case {
            what: format!("without {permission}"),
            token: Some(signer.sign(&signer.draft(TokenKind::Access).without(permission))),
            body: right_body(policy),
            code: Code::PermissionDenied,
            reason: "PERMISSION_MISSING",
            ..at_the_edge(policy)
        };
        trial.refuses(case).await;
    }

    trial.ends().await;
}

#[tokio::test]
async fn at_the_edge_there_is_no_way_to_what_the_policy_does_not_let_out() {
    let world = World::start().await;
    let mut trial = Trial::begin(&world).await;
    let signer = world.signer().await;

    assert!(cases::hidden().count() > 3);
    for policy in cases::hidden() {
        for token in [None, Some(signer.sign(&signer.draft(TokenKind::Access)))] {
            let case = Case {
                what: "not let out".to_owned(),
                token,
                body: right_body(policy),
                code: Code::Unimplemented,
                reason: "METHOD_UNKNOWN",
                ..at_the_edge(policy)
            };
            trial.refuses(case).await;
        }
    }

    trial.ends().await;
}

#[tokio::test]
async fn at_the_edge_no_method_takes_more_than_its_size() {
    let world = World::start().await;
    let alice = world.identities().access_token("acme", "alice", "owner", None).await;
    let mut trial = Trial::begin(&world).await;

    for policy in cases::edge() {
        let case = Case {
            what: "one byte too many".to_owned(),
            token: cases::permission(policy).map(|_| alice.clone()),
            body: announced(policy.request_bytes_max + 1),
            code: Code::ResourceExhausted,
            reason: "REQUEST_TOO_LARGE",
            ..at_the_edge(policy)
        };
        if cases::is_foreign_stream(policy) {
            let (_, answer) = trial.send(&case).await;
            assert!(answer.body.is_empty(), "{}: {answer:?}", policy.path);
        } else {
            trial.refuses(case).await;
        }
    }

    trial.ends().await;
}

#[tokio::test]
async fn at_the_edge_no_message_that_breaks_a_rule_gets_through() {
    let world = World::start().await;
    let alice = world.identities().access_token("acme", "alice", "owner", None).await;
    let mut trial = Trial::begin(&world).await;

    for policy in cases::edge() {
        let Some(request) = cases::request(policy) else { continue };
        let host = cases::mesh().find(|(known, _)| known.path == policy.path).expect("somebody answers it").1;
        let mut tried: Vec<_> = messages::broken(&request, policy.request_bytes_max)
            .into_iter()
            .map(|broken| (broken.rule, broken.bytes, "FIELD_INVALID"))
            .collect();
        tried.push(("no message".to_owned(), MALFORMED.to_vec(), "MESSAGE_MALFORMED"));
        for (what, bytes, reason) in tried {
            let case = Case {
                what,
                // The edge decodes nothing: the service refuses, and its listener counts.
                counted: Door::Mesh(host),
                token: cases::permission(policy).map(|_| alice.clone()),
                body: framed(&bytes),
                code: Code::InvalidArgument,
                reason,
                ..at_the_edge(policy)
            };
            trial.refuses(case).await;
        }
    }

    trial.ends().await;
}

#[tokio::test]
async fn the_ca_believes_no_token_at_all() {
    let world = World::start().await;
    let mut trial = Trial::begin(&world).await;

    for (policy, host) in cases::ca_of_users() {
        let token = right_token(&trial, policy).await;
        let case = Case {
            what: "a right token".to_owned(),
            token,
            body: right_body(policy),
            code: Code::Unavailable,
            reason: "NOT_READY",
            ..on_the_mesh(policy, host, right_peer(policy))
        };
        trial.refuses(case).await;
    }

    trial.ends().await;
}

/// Else a negative test could pass because everything is refused.
#[tokio::test]
async fn on_the_mesh_the_right_call_is_let_in() {
    let world = World::start().await;
    let mut trial = Trial::begin(&world).await;
    let signer = world.signer().await;

    for (policy, host) in cases::answered() {
        let gateway = identity::thumbprint(&world.identities().service("gateway").await);
        let mut tokens = vec![right_token(&trial, policy).await];
        if cases::permission(policy).is_some() && right_peer(policy) == "gateway" {
            // An outside token is as good, where it is bound to the certificate that presents it.
            tokens.push(Some(signer.sign(&signer.draft(TokenKind::Access).bound_to(gateway))));
        }
        for token in tokens {
            let case = Case {
                token,
                headers: vec![("x-tenant-id", "acme")],
                body: right_body(policy),
                ..own_door(policy, host)
            };
            let (_, answer) = trial.send(&case).await;
            assert_let_in(policy, &answer.reason(), answer.code());
        }
    }
}

#[tokio::test]
async fn at_the_edge_the_right_call_is_let_in() {
    let world = World::start().await;
    let mut trial = Trial::begin(&world).await;
    let alice = world.identities().access_token("acme", "alice", "owner", None).await;

    for policy in cases::edge() {
        let case = Case {
            token: cases::permission(policy).map(|_| alice.clone()),
            headers: vec![("x-tenant-id", "acme")],
            body: right_body(policy),
            ..at_the_edge(policy)
        };
        let (_, answer) = trial.send(&case).await;
        assert_let_in(policy, &answer.reason(), answer.code());
    }
}

#[test]
fn every_method_has_its_cases() {
    let ours: Vec<_> = POOL
        .services()
        .filter(|service| service.package_name().starts_with("mcp."))
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|method| format!("/{}/{}", method.parent_service().full_name(), method.name()))
        .collect();
    let tried: Vec<_> = cases::mesh().map(|(policy, _)| policy.path).collect();

    assert!(ours.len() > 20, "{}", ours.len());
    for path in &ours {
        assert!(tried.contains(&path.as_str()), "nobody answers {path}");
    }
    for policy in POLICIES.methods {
        let routed = cases::edge().any(|known| known.path == policy.path);
        let hidden = cases::hidden().any(|known| known.path == policy.path);
        assert!(routed != hidden, "{}", policy.path);
    }
}

#[test]
fn the_rules_of_every_request_can_be_kept_and_broken() {
    let mut broken = 0;
    for policy in POLICIES.methods {
        let Some(request) = cases::request(policy) else { continue };
        let valid = messages::valid(&request);
        assert!(valid.len() <= policy.request_bytes_max as usize, "{}", policy.path);
        broken += messages::broken(&request, policy.request_bytes_max).len();
    }

    assert!(broken > 80, "only {broken} rules are broken");
}

/// The message holds by every rule, so what its handler says of it is the handler's.
fn assert_let_in(policy: Policy, reason: &str, code: Code) {
    let of_a_layer = [
        "PEER_NOT_ALLOWED",
        "PERMISSION_MISSING",
        "METHOD_UNKNOWN",
        "REQUEST_TOO_LARGE",
        "NOT_READY",
        "TENANT_MISMATCH",
        "TENANT_HEADER",
    ];
    let of_a_token = reason.starts_with("TOKEN_") && reason != "TOKEN_REFUSED";
    let refused = of_a_layer.contains(&reason) || of_a_token || code == Code::Internal;
    // Ours always say why; another protocol's handler may take the empty message for what it is.
    let unsaid = reason.is_empty() && code != Code::Ok && cases::request(policy).is_some();
    assert!(!refused && !unsaid, "{}: {code:?} {reason}", policy.path);
}

fn right_peer(policy: Policy) -> &'static str {
    cases::right_peer(policy).unwrap_or(OPERATOR)
}

/// The start of a case at the door that the method is for.
fn own_door(policy: Policy, host: Service) -> Case<'static> {
    if cases::is_for_newcomers(policy) {
        Case { door: Door::Bootstrap, counted: Door::Bootstrap, ..on_the_mesh(policy, host, "") }
    } else {
        on_the_mesh(policy, host, right_peer(policy))
    }
}

async fn right_token(trial: &Trial<'_>, policy: Policy) -> Option<String> {
    cases::permission(policy)?;
    let signer = trial.world().signer().await;
    Some(signer.sign(&signer.draft(TokenKind::Transaction)))
}

/// A message that holds. Health and reflection take the empty one.
fn right_body(policy: Policy) -> bytes::Bytes {
    framed(&cases::request(policy).map(|request| messages::valid(&request)).unwrap_or_default())
}
