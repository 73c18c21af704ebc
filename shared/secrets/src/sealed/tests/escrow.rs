//! Copies of wrapping keys: there before the key is used, gone with it, and the way back.

use mcp_types::TenantSlug;

use super::*;
use crate::{DataKey, Wrapping as _};

/// Somebody who keeps the other half of an escrow's key.
struct Holder {
    dir: TempDir,
    recipient: String,
}

impl Holder {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("identity");
        let recipient = EscrowIdentity::draw(&file).expect("drawn").recipient();
        // As age-keygen writes it.
        let text = fs::read_to_string(&file).expect("readable");
        fs::write(&file, format!("# created: today\n# public key: {recipient}\n{text}")).expect("written");
        Self { dir, recipient }
    }

    fn identity(&self) -> EscrowIdentity {
        EscrowIdentity::load(&self.dir.path().join("identity")).expect("an identity")
    }

    fn escrow(&self) -> Escrow {
        Escrow::open(&self.dir.path().join("escrow"), &self.recipient, Arc::new(SystemEntropy))
            .expect("opens")
    }

    fn copy_of(&self, name: &str) -> PathBuf {
        self.dir.path().join("escrow").join(format!("{name}.age"))
    }
}

fn tenant(name: &str) -> TenantSlug {
    name.parse().expect("a tenant")
}

fn wrapping(home: &Home) -> SealedWrapping {
    SealedWrapping::new(home.open().expect("opens"), Arc::new(SystemEntropy))
}

#[tokio::test]
async fn a_lost_store_loses_no_tenant_whose_key_is_in_escrow() {
    let (home, holder) = (Home::new(), Holder::new());
    let keeper = wrapping(&home).with_escrow(holder.escrow());
    let key = DataKey::draw(&SystemEntropy);
    keeper.create(&tenant("acme")).await.expect("made");
    keeper.create(&tenant("globex")).await.expect("made");
    let wrapped = keeper.wrap(&tenant("acme"), &key, b"place").await.expect("wrapped");
    drop((keeper, home));

    let another = Home::new();
    let keeper = wrapping(&another);
    assert_eq!(keeper.import(&holder.escrow(), &holder.identity()).await.expect("taken back"), 2);

    let again = keeper.unwrap(&tenant("acme"), &wrapped, b"place").await.expect("unwrapped");
    assert_eq!(again.expose(), key.expose());
    // What is here already is left as it is.
    assert_eq!(keeper.import(&holder.escrow(), &holder.identity()).await.expect("nothing to take"), 0);
}

#[tokio::test]
async fn a_destroyed_key_is_in_no_copy_either() {
    let (home, holder) = (Home::new(), Holder::new());
    let keeper = wrapping(&home).with_escrow(holder.escrow());
    for name in ["acme", "globex"] {
        keeper.create(&tenant(name)).await.expect("made");
    }

    assert!(keeper.destroy(&tenant("acme")).await.expect("destroyed"));

    assert!(!holder.copy_of("acme").exists() && holder.copy_of("globex").exists());
    let files = files_below(&holder.dir.path().join("escrow"));
    assert_eq!(files.len(), 1, "one generation, and nothing beside it: {files:?}");
    drop(keeper);
    let another = Home::new();
    let keeper = wrapping(&another);
    assert_eq!(keeper.import(&holder.escrow(), &holder.identity()).await.expect("taken back"), 1);
    let refusal = keeper.wrap(&tenant("acme"), &DataKey::draw(&SystemEntropy), b"").await;
    assert!(matches!(refusal, Err(SecretsError::KeyDestroyed { .. })), "{refusal:?}");
}

#[tokio::test]
async fn an_export_makes_the_escrow_what_the_store_is() {
    let (home, holder) = (Home::new(), Holder::new());
    let keeper = wrapping(&home);
    keeper.create(&tenant("acme")).await.expect("made");
    keeper.create(&tenant("globex")).await.expect("made");
    let escrow = holder.escrow();
    assert_eq!(keeper.export(&escrow).await.expect("written"), Escrowed { written: 2, removed: 0 });
    // Destroyed by a keeper that knew of no escrow.
    assert!(keeper.destroy(&tenant("acme")).await.expect("destroyed"));

    assert_eq!(keeper.export(&escrow).await.expect("written"), Escrowed { written: 1, removed: 1 });
    assert_eq!(escrow.tenants().expect("listed"), [tenant("globex")]);
}

#[tokio::test]
async fn a_key_without_its_copy_gets_one_when_it_is_asked_for_again() {
    let (home, holder) = (Home::new(), Holder::new());
    let keeper = wrapping(&home);
    keeper.create(&tenant("acme")).await.expect("made");
    let keeper = keeper.with_escrow(holder.escrow());
    assert!(!holder.copy_of("acme").exists());

    keeper.create(&tenant("acme")).await.expect("there already");

    assert!(holder.copy_of("acme").exists());
}

#[tokio::test]
async fn nobody_but_the_holder_opens_a_copy_and_no_copy_is_anothers() {
    let (home, holder) = (Home::new(), Holder::new());
    let keeper = wrapping(&home).with_escrow(holder.escrow());
    keeper.create(&tenant("acme")).await.expect("made");
    let another = Home::new();
    let empty = wrapping(&another);

    let stranger = Holder::new().identity();
    let refusal = empty.import(&holder.escrow(), &stranger).await.expect_err("a stranger");
    assert!(matches!(refusal, SecretsError::NotEscrowed { .. }), "{refusal:?}");

    fs::rename(holder.copy_of("acme"), holder.copy_of("globex")).expect("renamed");
    let refusal = empty.import(&holder.escrow(), &holder.identity()).await.expect_err("acme's key");
    assert!(matches!(refusal, SecretsError::NotEscrowed { .. }), "{refusal:?}");

    fs::rename(holder.copy_of("globex"), holder.copy_of("acme")).expect("renamed");
    empty.create(&tenant("acme")).await.expect("made");
    let refusal = empty.import(&holder.escrow(), &holder.identity()).await.expect_err("another key");
    assert!(matches!(refusal, SecretsError::Conflicting { .. }), "{refusal:?}");
}

#[test]
fn what_is_no_recipient_or_identity_is_told() {
    let home = tempfile::tempdir().expect("a folder");
    let refusal = Escrow::open(&home.path().join("escrow"), "AGE-SECRET-KEY-1", Arc::new(SystemEntropy));
    assert!(matches!(refusal, Err(SecretsError::Config { .. })), "{refusal:?}");
    assert!(!home.path().join("escrow").exists());

    let file = home.path().join("identity");
    assert!(EscrowIdentity::load(&file).is_err());
    for junk in ["", "# nothing\n", "AGE-SECRET-KEY-1JUNK"] {
        disk::write_unnamed(&file, junk.as_bytes()).expect("written");
        let refusal = EscrowIdentity::load(&file).expect_err("junk");
        assert!(matches!(refusal, SecretsError::NotEscrowed { .. }), "{refusal:?}");
    }
    assert_eq!(format!("{:?}", Holder::new().identity()), "EscrowIdentity([redacted])");
}
