//! How much a tenant may hold.

use super::*;

#[expect(clippy::needless_pass_by_value, reason = "takes an answer as it comes")]
fn is_over(answer: Result<impl fmt::Debug, ContextsError>, of: Holding) {
    assert!(matches!(&answer, Err(ContextsError::Quota { what, .. }) if *what == of), "{answer:?}");
}

pub(super) async fn a_tenant_holds_so_many_contexts_messages_and_bytes(fresh: &Fresh) {
    let contexts = fresh.with_quota(Quota { contexts_max: 2, messages_max: 3, bytes_max: 20 });
    let (acme, globex) = (scope("acme"), scope("globex"));
    let one = create(&contexts, &acme, "t").await.id;
    create(&contexts, &acme, "t").await;

    is_over(contexts.create(&acme, &at(5), id(), titled("t")).await, Holding::Contexts);
    is_over(
        contexts.fork(&acme, &at(5), Source { id: one, count: None }, id(), None).await,
        Holding::Contexts,
    );
    create(&contexts, &globex, "a room of its own").await;

    append(&contexts, &acme, one, &["a", "b"]).await;
    is_over(contexts.append(&acme, &at(6), one, said(&["c", "d"])).await, Holding::Messages);
    is_over(contexts.append(&acme, &at(6), one, said(&["12345678901234567"])).await, Holding::Bytes);
    is_over(
        contexts.update(&acme, &at(6), target(one), titled("12345678901234567890"), mask("title")).await,
        Holding::Bytes,
    );
    // Nothing of what was refused is there.
    let now = contexts.get(&acme, one).await.expect("there");
    assert_eq!((now.message_count, now.version, now.fields.title.as_str()), (2, 2, "t"));
    append(&contexts, &acme, one, &["c"]).await;
}

pub(super) async fn what_is_deleted_makes_room(fresh: &Fresh) {
    let contexts = fresh.with_quota(Quota { contexts_max: 2, messages_max: 2, bytes_max: 1000 });
    let acme = scope("acme");
    for _ in 0..3 {
        let id = create(&contexts, &acme, "t").await.id;
        append(&contexts, &acme, id, &["a", "b"]).await;
        let fork = contexts.fork(&acme, &at(7), Source { id, count: Some(1) }, super::id(), None).await;
        let fork = fork.expect("what is shared counts once");
        contexts.delete(&acme, &at(8), target(id)).await.expect("deleted");
        is_over(contexts.append(&acme, &at(8), fork.id, said(&["c", "d"])).await, Holding::Messages);
        append(&contexts, &acme, fork.id, &["c"]).await;
        contexts.delete(&acme, &at(9), target(fork.id)).await.expect("deleted");
        while contexts.sweep(&acme).await.expect("swept") {}
    }
}
