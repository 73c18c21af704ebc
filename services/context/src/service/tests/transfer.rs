//! Contexts out and in again: the same, all or nothing, and once.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use prost_types::{Struct, Value, value::Kind};

use super::*;

fn rich(title: &str) -> pb::Context {
    let number = |number| Value { kind: Some(Kind::NumberValue(number)) };
    let values = [("exact".to_owned(), number(0.1 + 0.2)), ("whole".to_owned(), number(7.0))];
    pb::Context {
        r#type: "chat".to_owned(),
        title: title.to_owned(),
        description: "two\nlines".to_owned(),
        tags: vec!["a".to_owned(), "ä".to_owned()],
        data: Some(Struct { fields: values.into() }),
        ..Default::default()
    }
}

async fn exported(world: &World, by: &By, request: &pb::ExportContextsRequest) -> Result<Vec<u8>, Status> {
    let pieces: Vec<_> = world.service.export(by.clone(), request)?.try_collect().await?;
    assert!(pieces.iter().all(|piece| piece.lines.len() <= 3 << 20));
    Ok(pieces.into_iter().flat_map(|piece| piece.lines).collect())
}

/// In pieces of so many bytes.
async fn imported(
    world: &World,
    by: &By,
    file: &[u8],
    request_id: &str,
    bytes: usize,
) -> Result<pb::ImportContextsResponse, Status> {
    let pieces = file.chunks(bytes).enumerate().map(|(at, lines)| {
        let request_id = if at == 0 { request_id.to_owned() } else { String::new() };
        Ok(pb::ImportContextsRequest { lines: lines.to_vec(), request_id })
    });
    world.service.import(by, &mut stream::iter(pieces.collect::<Vec<_>>()).boxed()).await
}

async fn filled(world: &World, by: &By) -> Vec<pb::Context> {
    let mut stored = Vec::new();
    for title in ["one", "two"] {
        let request = pb::CreateContextRequest { context: Some(rich(title)), ..Default::default() };
        let name = world.service.create(by, request).await.expect("stored").name;
        let long = "word \u{1} \"quoted\" ".repeat(40_000);
        for text in ["a", "b\nc", &long] {
            world.says(by, &name, &[text]).await;
        }
        let get = pb::GetContextRequest { name, ..Default::default() };
        stored.push(world.service.get(by, &get).await.expect("there"));
    }
    // All of one millisecond: exported in the order of their IDs.
    stored.sort_by(|a, b| a.name.cmp(&b.name));
    stored
}

async fn said(world: &World, by: &By, name: &str) -> Vec<(i32, String, bool)> {
    let request = pb::ListMessagesRequest { parent: name.to_owned(), ..Default::default() };
    let page = world.service.messages(by, &request).await.expect("a page");
    page.messages.into_iter().map(|message| (message.role, message.text, message.pinned)).collect()
}

async fn count(world: &World, by: &By) -> usize {
    world.service.list(by, &Default::default()).await.expect("a page").contexts.len()
}

#[tokio::test]
async fn what_is_exported_is_imported_as_it_was() {
    let (world, alice, bob) = (World::start().await, user("acme", "alice"), user("globex", "bob"));
    let stored = filled(&world, &alice).await;
    let file = exported(&world, &alice, &Default::default()).await.expect("exported");
    assert_eq!(file.iter().filter(|byte| **byte == b'\n').count(), 2 * 4 + 1);

    let answer = imported(&world, &bob, &file, "", 1_000).await.expect("imported");

    assert_eq!(answer.message_count, 6);
    let sources: Vec<_> = answer.contexts.iter().map(|it| it.source.clone()).collect();
    assert_eq!(sources, stored.iter().map(|it| it.name.clone()).collect::<Vec<_>>());
    for (was, is) in stored.iter().zip(&answer.contexts) {
        assert_ne!(was.name, is.name);
        let get = pb::GetContextRequest { name: is.name.clone(), ..Default::default() };
        let now = world.service.get(&bob, &get).await.expect("there");
        assert_eq!((&now.title, &now.tags, &now.data), (&was.title, &was.tags, &was.data));
        assert_eq!((&now.r#type, &now.description), (&was.r#type, &was.description));
        assert_eq!((now.message_count, now.token_count), (was.message_count, was.token_count));
        assert_eq!(said(&world, &bob, &is.name).await, said(&world, &alice, &was.name).await);
    }
}

#[tokio::test]
async fn an_export_is_of_what_was_asked() {
    let (world, alice) = (World::start().await, user("acme", "alice"));
    let stored = filled(&world, &alice).await;
    let lines = |file: Vec<u8>| String::from_utf8(file).expect("text").lines().count();

    let one = pb::ExportContextsRequest { names: vec![stored[1].name.clone()], ..Default::default() };
    assert_eq!(lines(exported(&world, &alice, &one).await.expect("exported")), 5);
    let none = pb::ExportContextsRequest { filter: "type = ticket".to_owned(), ..Default::default() };
    assert_eq!(lines(exported(&world, &alice, &none).await.expect("exported")), 1);
    let both = pb::ExportContextsRequest { filter: "type = chat".to_owned(), ..one.clone() };
    refused(exported(&world, &alice, &both).await, Code::InvalidArgument, "FIELD_INVALID");
    refused(exported(&world, &user("globex", "m"), &one).await, Code::NotFound, "NOT_FOUND");
}

#[tokio::test]
async fn a_file_that_was_changed_cut_or_mixed_up_leaves_nothing() {
    let (world, alice, bob) = (World::start().await, user("acme", "alice"), user("globex", "bob"));
    filled(&world, &alice).await;
    let file = exported(&world, &alice, &Default::default()).await.expect("exported");
    let text = String::from_utf8(file).expect("text");
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let (last, rest) = lines.split_last().expect("lines");
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat().concat();
    let swapped = [&[lines[0], lines[2], lines[1]], &lines[3..]].concat().concat();

    for (file, reason) in [
        (text.replace("\"text\":\"a\"", "\"text\":\"A\""), "MANIFEST_MISMATCH"),
        (rest.concat(), "MANIFEST_MISMATCH"),
        (text[..text.len() / 2].to_owned(), "IMPORT_REFUSED"),
        (without(2), "IMPORT_REFUSED"),
        (without(0), "IMPORT_REFUSED"),
        (swapped, "MANIFEST_MISMATCH"),
        ([&text, lines[0]].concat(), "IMPORT_REFUSED"),
        (text.replace("\"role\":\"user\"", "\"role\":\"boss\""), "IMPORT_REFUSED"),
        (text.replace("\"title\":\"one\"", "\"title\":\"<b>\""), "IMPORT_REFUSED"),
        (text.replace("\"title\":\"one\"", "\"tittle\":\"one\""), "IMPORT_REFUSED"),
        ("nonsense\n".to_owned(), "IMPORT_REFUSED"),
        (String::new(), "MANIFEST_MISMATCH"),
    ] {
        let answer = imported(&world, &bob, file.as_bytes(), "", 100_000).await;
        refused(answer, Code::InvalidArgument, reason);
        assert_eq!(count(&world, &bob).await, 0);
    }
    assert!(last.contains("manifest"));
}

#[tokio::test]
async fn an_import_that_is_sent_again_is_answered_again_and_not_stored_twice() {
    let (world, alice, bob) = (World::start().await, user("acme", "alice"), user("globex", "bob"));
    filled(&world, &alice).await;
    let file = exported(&world, &alice, &Default::default()).await.expect("exported");

    let first = imported(&world, &bob, &file, SOME_ID, 4_000_000).await.expect("imported");
    let again = imported(&world, &bob, &file, SOME_ID, 50_000).await.expect("again");
    assert_eq!(first, again);
    assert_eq!(count(&world, &bob).await, 2);

    let one = pb::ExportContextsRequest { filter: "type = none".to_owned(), ..Default::default() };
    let other = exported(&world, &alice, &one).await.expect("exported");
    refused(imported(&world, &bob, &other, SOME_ID, 100).await, Code::InvalidArgument, "REQUEST_ID_REUSED");
}
