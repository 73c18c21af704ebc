//! What users say stands in their tenant's own file and nowhere else; what opens doors stands nowhere at all.

use std::path::{Path, PathBuf};

use mcp_tests::{User, World, signer, user::summarizing};

/// Words that nothing else would write.
const TITLE: &str = "Zebrafinkentitel";
const DESCRIPTION: &str = "Zebrafinkenbeschreibung";
const TAG: &str = "zebrafinkenwort";
const MESSAGE: &str = "Zebrafinkengeheimnis";
const SUMMARISED: &str = "Zebrafinkenvortrag";

#[tokio::test]
async fn what_users_say_and_what_opens_doors_is_in_no_log_and_no_other_file() {
    let mut world = World::start_with("[log]\nfilter = \"trace\"").await;
    let alice = world.user("acme", "alice", "owner").await;
    let context = mcp_proto::context::v1::Context {
        title: TITLE.to_owned(),
        description: DESCRIPTION.to_owned(),
        tags: vec![TAG.to_owned()],
        ..Default::default()
    };
    let request =
        mcp_proto::context::v1::CreateContextRequest { context: Some(context), ..Default::default() };
    let plan = alice.contexts().create_context(request).await.expect("stored").into_inner();
    for at in 0..50 {
        alice
            .appends(&plan.name, &[&format!("{MESSAGE} number {at} is what nobody else shall read.")])
            .await
            .expect("appended");
    }
    alice.window(&plan.name, 60).await.expect("a window");
    alice
        .summaries()
        .summarize(summarizing(&format!("{SUMMARISED} is said here. And nowhere else."), 5))
        .await
        .expect("summarised");
    // Refused calls are looked at more closely, and logged; their payload is not.
    let victor = world.user("acme", "victor", "viewer").await;
    victor.appends(&plan.name, &[MESSAGE]).await.expect_err("no permission");
    let bent = format!("{}AAAA", &alice.token()[..alice.token().len() - 4]);
    User::bearing(&world, "acme", "alice", bent.clone()).creates(TITLE).await.expect_err("no token");
    let transaction =
        world.signer().await.sign(&world.signer().await.draft(mcp_tenancy::TokenKind::Transaction));
    User::bearing(&world, "acme", "alice", transaction.clone())
        .creates(TITLE)
        .await
        .expect_err("not at the edge");
    let signature = |token: &str| token.rsplit('.').next().expect("a signature").to_owned();
    assert_eq!(signer::part(alice.token(), 1)["sub"], "alice");

    // At rest too, once everything is written.
    let written_while_running = read_all(world.scratch());
    let ended = world.stop().await;
    assert!(ended.iter().all(|status| status.success()), "{ended:?}");
    let written = [written_while_running, read_all(world.scratch())].concat();

    let kept = [TITLE, DESCRIPTION, TAG, MESSAGE].map(str::to_owned);
    let gone = [
        SUMMARISED.to_owned(),
        signature(alice.token()),
        signature(victor.token()),
        signature(&bent),
        signature(&transaction),
    ];
    let mut found = Vec::new();
    for (path, bytes) in &written {
        let own = path.to_string_lossy().contains("/context/tenants/acme.");
        for word in kept.iter().filter(|_| !own).chain(&gone) {
            if bytes.windows(word.len()).any(|window| window == word.as_bytes()) {
                found.push(format!("{word} in {}", path.display()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    assert!(written.iter().any(|(path, _)| path.ends_with("audit.jsonl")), "something was looked at");
    assert!(
        written
            .iter()
            .any(|(path, bytes)| path.extension().is_some_and(|it| it == "log") && !bytes.is_empty())
    );
}

#[tokio::test]
async fn keys_and_databases_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::start().await;
    let alice = world.user("acme", "alice", "owner").await;
    alice.creates("The plan").await.expect("stored");

    let mut open = Vec::new();
    for (path, _) in read_all(&world.data_dir()) {
        let mode = std::fs::metadata(&path).map_or(0, |it| it.permissions().mode());
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let secret = ["key.pem", "master.key"].contains(&name)
            || path.extension().is_some_and(|extension| extension == "sealed");
        if secret && mode & 0o077 != 0 {
            open.push(format!("{} has mode {mode:o}", path.display()));
        }
    }
    assert!(open.is_empty(), "{open:#?}");
    let mode = std::fs::metadata(world.data_dir()).expect("there").permissions().mode();
    assert!(world.mode() == mcp_tests::Mode::Split || mode & 0o077 == 0, "{mode:o}");
}

fn read_all(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .flat_map(|path| match path.is_dir() {
            true => read_all(&path),
            false => std::fs::read(&path).map(|bytes| vec![(path, bytes)]).unwrap_or_default(),
        })
        .collect()
}
