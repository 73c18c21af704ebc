//! Changes as they happen: none left out, none twice, and never silent for long.

use futures_util::StreamExt as _;
use mcp_proto::context::v1::watch_context_response::Event;
use tokio::time::{Instant, timeout};

use super::*;
use crate::service::watch::Answers;

const SOON: Duration = Duration::from_secs(60);

async fn watching(world: &World, by: &By, name: &str, after_version: u64) -> Result<Answers, Status> {
    let request = pb::WatchContextRequest { name: name.to_owned(), after_version };
    world.service.watch(by.clone(), Instant::now() + SOON, &request).await
}

async fn next(answers: &mut Answers) -> Option<(u64, Event)> {
    let answer = timeout(SOON, answers.next()).await.expect("in time")?;
    let answer = answer.expect("an answer");
    Some((answer.version, answer.event.expect("an event")))
}

fn words(event: &Event) -> String {
    match event {
        Event::Current(context) => format!("current {}", context.title),
        Event::Updated(context) => format!("updated {}", context.title),
        Event::Appended(appended) => {
            appended.messages.iter().map(|message| message.text.clone()).collect::<Vec<_>>().join(",")
        }
        Event::Deleted(()) => "deleted".to_owned(),
        Event::Heartbeat(()) => "heartbeat".to_owned(),
    }
}

async fn told(answers: &mut Answers, count: usize) -> Vec<(u64, String)> {
    let mut told = Vec::new();
    for _ in 0..count {
        let (version, event) = next(answers).await.expect("more");
        told.push((version, words(&event)));
    }
    told
}

async fn retitled(world: &World, by: &By, name: &str, title: &str) {
    let context = pb::Context { name: name.to_owned(), title: title.to_owned(), ..Default::default() };
    let request = pb::UpdateContextRequest {
        context: Some(context),
        update_mask: Some(prost_types::FieldMask { paths: vec!["title".to_owned()] }),
        ..Default::default()
    };
    world.service.update(by, request).await.expect("changed");
}

#[tokio::test]
async fn changes_are_told_as_they_happen_and_the_end_too() {
    let (world, alice) = (World::start().await, user("acme", "alice"));
    let name = world.creates(&alice, "t").await.name;
    let mut answers = watching(&world, &alice, &name, 0).await.expect("watched");
    assert_eq!(told(&mut answers, 1).await, [(1, "current t".to_owned())]);

    let (told, ()) = tokio::join!(told(&mut answers, 3), async {
        world.says(&alice, &name, &["a", "b"]).await;
        retitled(&world, &alice, &name, "u").await;
        let delete = pb::DeleteContextRequest { name: name.clone(), ..Default::default() };
        world.service.delete(&alice, &delete).await.expect("deleted");
    });

    // What was deleted meanwhile may be told before what led to it is read.
    assert!(told.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{told:?}");
    assert_eq!(told.last().expect("told").1, "deleted");
    assert!(next(&mut answers).await.is_none(), "nothing follows");
}

#[tokio::test]
async fn who_comes_back_hears_what_was_missed_once() {
    let (world, alice) = (World::start().await, user("acme", "alice"));
    let name = world.creates(&alice, "t").await.name;
    for n in 0..200 {
        world.says(&alice, &name, &[&n.to_string()]).await;
    }

    let (mut version, mut heard) = (1, Vec::new());
    while heard.len() < 200 {
        let mut answers = watching(&world, &alice, &name, version).await.expect("watched");
        // Cut off after seven, wherever that is in what was read ahead.
        for _ in 0..7.min(200 - heard.len()) {
            let (reached, event) = next(&mut answers).await.expect("more");
            assert_eq!(reached, version + 1);
            version = reached;
            heard.push(words(&event));
        }
    }
    assert_eq!(heard, (0..200).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn writers_at_once_are_heard_in_one_order_without_a_gap() {
    let (world, alice) = (World::start().await, user("acme", "alice"));
    let name = world.creates(&alice, "t").await.name;
    let mut answers = watching(&world, &alice, &name, 1).await.expect("watched");

    let writing = futures_util::future::join_all((0..40).map(|n| {
        let (world, alice, name) = (&world, &alice, &name);
        async move { world.says(alice, name, &[&n.to_string()]).await }
    }));
    let (heard, _) = tokio::join!(told(&mut answers, 40), writing);

    assert_eq!(heard.iter().map(|(version, _)| *version).collect::<Vec<_>>(), (2..=41).collect::<Vec<_>>());
    assert_eq!(heard.iter().map(|(_, words)| words).collect::<HashSet<_>>().len(), 40);
}

#[tokio::test]
async fn a_version_that_is_not_kept_or_not_reached_is_refused() {
    let (world, alice) = (World::start().await, user("acme", "alice"));
    let name = world.creates(&alice, "t").await.name;

    let ahead = watching(&world, &alice, &name, 9).await.map(drop);
    refused(ahead, Code::OutOfRange, "VERSION_OUT_OF_RANGE");
    let foreign = watching(&world, &user("globex", "mallory"), &name, 0).await.map(drop);
    refused(foreign, Code::NotFound, "NOT_FOUND");
}

#[tokio::test]
async fn a_tenant_watches_so_much_and_no_more() {
    let (world, alice) = (World::start().await, user("acme", "alice"));
    let name = world.creates(&alice, "t").await.name;
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(watching(&world, &alice, &name, 0).await.expect("watched"));
    }
    refused(watching(&world, &alice, &name, 0).await.map(drop), Code::ResourceExhausted, "WATCHES_OPEN");
    open.pop();
    drop(watching(&world, &alice, &name, 0).await.expect("room again"));
}

#[tokio::test]
async fn a_watch_ends_with_its_time_and_with_the_service() {
    let (world, alice) = (World::start().await, user("acme", "alice"));
    let name = world.creates(&alice, "t").await.name;
    let request = pb::WatchContextRequest { name: name.clone(), after_version: 1 };

    let over = world.service.watch(alice.clone(), Instant::now(), &request).await;
    assert!(next(&mut over.expect("watched")).await.is_none());

    let mut open = watching(&world, &alice, &name, 1).await.expect("watched");
    let (end, ()) = tokio::join!(next(&mut open), async { world.service.stop.request() });
    assert!(end.is_none());
}
