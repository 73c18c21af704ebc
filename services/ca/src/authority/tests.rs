//! Who gets what, what stays over a restart, and what a changed file does.

use std::{fs, path::PathBuf};

use mcp_svid::Svid;
use mcp_testkit::ManualClock;
use mcp_types::Clock as _;
use tempfile::TempDir;

use super::*;

const SCOPE: PlatformScope = PlatformScope::of_the_platform_itself();
const MINUTE: Duration = Duration::from_secs(60);

struct Home {
    folder: TempDir,
    clock: Arc<ManualClock>,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), clock: ManualClock::at(1_700_000_000) }
    }

    async fn try_open(&self, trust_domain: &str) -> Result<Authority, Failure> {
        let mut shell = mcp_testkit::shell();
        shell.clock = Arc::clone(&self.clock) as _;
        let mesh = MeshConfig {
            trust_domain: trust_domain.parse().expect("a trust domain"),
            state_dir: self.folder.path().join("ca"),
            ..MeshConfig::default()
        };
        Authority::open(&Config::default(), &mesh, &shell).await
    }

    async fn open(&self) -> Authority {
        self.try_open("td").await.expect("the authority opens")
    }

    fn sealed(&self, name: &str) -> PathBuf {
        let mut files = fs::read_dir(self.folder.path().join("ca/secrets/sealed/authority")).expect("sealed");
        let is_of =
            |file: &PathBuf| file.file_name().is_some_and(|it| it.to_string_lossy().starts_with(name));
        files.find_map(|file| file.ok().map(|it| it.path()).filter(is_of)).expect("a file of that name")
    }
}

fn service(name: &str) -> ServiceName {
    name.parse().expect("a service")
}

fn csr(id: Option<&str>) -> Vec<u8> {
    let id = id.map(|id| id.parse().expect("an ID"));
    make_csr(id.as_ref()).expect("a request").0
}

fn read(leaf: &IssuedLeaf) -> Svid {
    Svid::read(&leaf.chain[0]).expect("a certificate that peers believe")
}

async fn token(authority: &Authority, name: &str) -> String {
    authority.create_join_token(&service(name), None).await.expect("a token").expose()
}

#[tokio::test]
async fn a_token_gives_its_service_a_first_certificate() {
    let home = Home::new();
    let ca = home.open().await;
    let token = token(&ca, "context").await;

    let leaf = ca.issue_for_token(&SCOPE, &token, &csr(None)).await.expect("issued");

    assert_eq!(read(&leaf).id.as_str(), "spiffe://td/service/context");
    assert!(mcp_svid::is_signed_by(&leaf.chain[1], &ca.bundle().roots[0]));
    let hash = sha256(token.parse::<JoinToken>().expect("a token").secret());
    let record = ca.record().await;
    assert_eq!(record, [("spiffe://td/service/context".into(), "join_token".into(), Some(hash.to_vec()))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_who_show_a_token_at_once_one_gets_a_certificate() {
    let home = Home::new();
    let ca = home.open().await;
    let token = token(&ca, "context").await;

    let tries: Vec<_> = (0..32)
        .map(|_| {
            let (ca, token) = (ca.clone(), token.clone());
            tokio::spawn(async move { ca.issue_for_token(&SCOPE, &token, &csr(None)).await.map(drop) })
        })
        .collect();
    let mut outcomes = Vec::new();
    for attempt in tries {
        outcomes.push(attempt.await.expect("no panic"));
    }

    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for refused in outcomes.into_iter().filter_map(Result::err) {
        assert!(matches!(refused, Refused::Token(Spent::Used)), "{refused:?}");
    }
    assert_eq!(ca.record().await.len(), 1);
}

#[tokio::test]
async fn a_token_ends_when_its_time_is_over() {
    let home = Home::new();
    let ca = home.open().await;
    let (first, second) = (token(&ca, "context").await, token(&ca, "context").await);

    home.clock.advance(MINUTE * 10 - Duration::from_millis(1));
    ca.issue_for_token(&SCOPE, &first, &csr(None)).await.expect("in time");
    home.clock.advance(Duration::from_millis(1));
    let late = ca.issue_for_token(&SCOPE, &second, &csr(None)).await.expect_err("too late");

    assert!(matches!(late, Refused::Token(Spent::Expired)));
}

#[tokio::test]
async fn a_token_made_elsewhere_is_unknown() {
    let (ours, theirs) = (Home::new(), Home::new());
    let (ours, theirs) = (ours.open().await, theirs.open().await);
    let foreign = token(&theirs, "context").await;
    let good: JoinToken = token(&ours, "context").await.parse().expect("a token");
    let guessed = JoinToken::new(good.root_pin(), [0; 32]).expose();
    let renamed = JoinToken::new([0; 32], *good.secret()).expose();

    for token in [&*foreign, &*guessed, &*renamed, "join.a.b", ""] {
        let refused = ours.issue_for_token(&SCOPE, token, &csr(None)).await.expect_err("unknown");
        assert!(matches!(refused, Refused::Token(Spent::Unknown)), "{token}: {refused:?}");
    }
}

#[tokio::test]
async fn a_token_gives_no_other_name_and_stays_good_for_its_own() {
    let home = Home::new();
    let ca = home.open().await;
    let token = token(&ca, "context").await;

    for other in
        ["spiffe://td/service/auth", "spiffe://td/operator/context", "spiffe://other/service/context"]
    {
        let refused = ca.issue_for_token(&SCOPE, &token, &csr(Some(other))).await.expect_err("another name");
        assert!(matches!(refused, Refused::Csr(CsrRefused::AnotherId { .. })), "{other}: {refused:?}");
    }

    let own = csr(Some("spiffe://td/service/context"));
    assert!(ca.issue_for_token(&SCOPE, &token, &own).await.is_ok());
}

#[tokio::test]
async fn nobody_joins_as_the_ca() {
    let home = Home::new();
    let ca = home.open().await;

    let refused = ca.new_join_token(&SCOPE, &service("ca"), None).await.expect_err("refused");

    assert!(matches!(refused, Refused::OwnName));
}

#[tokio::test]
async fn a_renewal_is_for_the_identity_of_the_certificate_shown() {
    let home = Home::new();
    let ca = home.open().await;
    let context = PeerIdentity::service("context", [7; 32]);

    let silent = ca.renew(&SCOPE, &context, &csr(None)).await.expect("renewed");
    assert_eq!(read(&silent).id.as_str(), "spiffe://td/service/context");
    let other =
        ca.renew(&SCOPE, &context, &csr(Some("spiffe://td/service/auth"))).await.expect_err("another");
    assert!(matches!(other, Refused::Csr(CsrRefused::AnotherId { .. })));
    let nobody = ca.renew(&SCOPE, &PeerIdentity::unidentified(), &csr(None)).await.expect_err("nobody");
    assert!(matches!(nobody, Refused::Nobody));

    let record = ca.record().await;
    assert_eq!(record, [("spiffe://td/service/context".into(), "certificate".into(), Some(vec![7; 32]))]);
}

#[tokio::test]
async fn an_operator_stays_one_and_lives_shorter_than_a_service() {
    let home = Home::new();
    let ca = home.open().await;
    let ada = PeerIdentity::operator("ada", [7; 32]);

    let leaf = ca.renew(&SCOPE, &ada, &csr(None)).await.expect("renewed");

    assert_eq!(read(&leaf).id.as_str(), "spiffe://td/operator/ada");
    let end = home.clock.now().plus(MINUTE * 60);
    assert!(leaf.not_after.since(end) <= Duration::from_secs(1) && end.since(leaf.not_after).is_zero());
    let (chain, key) = ca.issue_operator("bob", Some(MINUTE)).await.expect("issued");
    let identity = Identity::from_pem(&chain, &key).expect("an identity");
    assert_eq!(identity.id().operator_name(), Some("bob"));
    assert!(ca.issue_operator("../service/ca", None).await.is_err());
}

#[tokio::test]
async fn root_and_issuing_authority_stay_over_a_restart_and_tokens_too() {
    let home = Home::new();
    let first = home.open().await;
    let (pem, ends, token) = (first.trust_bundle_pem(), first.issuing_ends(), token(&first, "auth").await);
    first.close().await;
    drop(first);

    let second = home.open().await;

    assert_eq!((second.trust_bundle_pem(), second.issuing_ends()), (pem, ends));
    assert!(second.issue_for_token(&SCOPE, &token, &csr(None)).await.is_ok());
}

#[tokio::test]
async fn an_issuing_authority_with_less_than_a_third_left_has_a_successor_under_the_same_root() {
    let home = Home::new();
    let ca = home.open().await;
    let (pem, first) = (ca.trust_bundle_pem(), ca.issuing_ends());

    home.clock.advance(Duration::from_secs(243 * 24 * 3600));
    ca.tidy_up().await.expect("tidied");
    assert_eq!(ca.issuing_ends(), first);

    home.clock.advance(Duration::from_secs(24 * 3600));
    ca.tidy_up().await.expect("tidied");
    let second = ca.issuing_ends();
    assert!(second > first);
    let leaf = ca.renew(&SCOPE, &PeerIdentity::service("auth", [7; 32]), &csr(None)).await.expect("renewed");
    assert!(mcp_svid::is_signed_by(&leaf.chain[1], &ca.bundle().roots[0]));
    ca.close().await;
    drop(ca);

    let reopened = home.open().await;
    assert_eq!((reopened.trust_bundle_pem(), reopened.issuing_ends()), (pem, second));
}

#[tokio::test]
async fn records_are_kept_for_as_long_as_is_configured_after_their_end() {
    let home = Home::new();
    let ca = home.open().await;
    let token = token(&ca, "auth").await;
    ca.issue_for_token(&SCOPE, &token, &csr(None)).await.expect("issued");
    let day = Duration::from_secs(24 * 3600);

    // The certificate ends after a day.
    home.clock.advance(day * 91);
    ca.tidy_up().await.expect("tidied");
    assert_eq!(ca.record().await.len(), 1);

    home.clock.advance(day);
    ca.tidy_up().await.expect("tidied");
    assert_eq!(ca.record().await.len(), 0);
}

#[tokio::test]
async fn a_changed_key_file_is_named_and_nothing_is_made_in_its_place() {
    let home = Home::new();
    drop(home.open().await);
    let file = home.sealed("root");
    let mut bytes = fs::read(&file).expect("readable");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(&file, &bytes).expect("written");

    let failure = home.try_open("td").await.expect_err("refused");

    assert_eq!(
        failure.chain(),
        [
            "cannot use the ca's `authority/root`",
            "the file of secret `authority/root` was changed or exchanged"
        ]
    );
    assert!(failure.advice().is_some_and(|advice| advice.contains("backup")));
    assert_eq!(failure.exit_code(), 78);
    assert_eq!(fs::read(&file).expect("readable"), bytes);
}

#[tokio::test]
async fn one_authoritys_file_does_not_pass_for_the_other() {
    let home = Home::new();
    drop(home.open().await);
    fs::copy(home.sealed("issuing"), home.sealed("root")).expect("copied");

    assert!(home.try_open("td").await.is_err());
}

#[tokio::test]
async fn a_root_of_another_trust_domain_is_refused() {
    let home = Home::new();
    drop(home.open().await);

    let failure = home.try_open("other").await.expect_err("refused");

    assert!(failure.to_string().contains("trust domain td"), "{failure}");
}

#[tokio::test]
async fn nothing_prints_a_key_or_a_token() {
    let home = Home::new();
    let ca = home.open().await;
    let token = ca.create_join_token(&service("auth"), None).await.expect("a token");

    let printed = format!("{ca:?} {token:?}");

    assert!(!printed.contains(&token.expose()) && !printed.contains("PRIVATE"));
    let files = fs::read(home.folder.path().join("ca/platform.db")).expect("readable");
    assert!(!files.windows(32).any(|window| window == token.secret()));
}
