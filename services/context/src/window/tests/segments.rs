//! How long histories are summarised: in few calls, each of a text that one call carries.

use super::*;

/// Text that one call carries at most.
const CALL_BYTES_MAX: usize = 2 * 1024 * 1024;

#[tokio::test]
async fn a_segment_that_one_call_carries_is_summarised_from_its_messages() {
    let (contexts, _alive) = sqlite_contexts().await;
    let texts: Vec<_> = (0..65).map(|n| format!("{n} {}", words(50))).collect();
    let id = holding(&contexts, &texts).await;
    let parrot = Parrot::default();

    let parts = window(&contexts, &parrot, id, 100).await.expect("a window");

    assert_eq!(cited(&parts), [(1, 64, 32), (65, 65, 51)]);
    let asked = parrot.asked.into_inner().expect("whole");
    assert_eq!(asked, [(texts[..64].join("\n\n"), 32)]);
}

#[tokio::test]
async fn a_longer_one_is_summarised_from_the_summaries_of_its_segments() {
    let (contexts, _alive) = sqlite_contexts().await;
    // Each message is 600 kB, so three of them are one call and four are not.
    let mut texts: Vec<_> = (0..16).map(|n| format!("{n} {}", words(120_000))).collect();
    texts[3] = "short".to_owned();
    texts.push(words(60));
    let id = holding(&contexts, &texts).await;
    let parrot = Parrot::default();

    let parts = window(&contexts, &parrot, id, 100).await.expect("a window");

    assert_eq!(cited(&parts), [(1, 16, 32), (17, 17, 60)]);
    let asked = parrot.asked.into_inner().expect("whole");
    assert!(asked.iter().all(|(text, _)| text.len() <= CALL_BYTES_MAX));
    // [1..4] in one call, since one of its messages is short; twelve messages; three fours; and the sixteen.
    assert_eq!(asked.len(), 1 + 12 + 3 + 1);
    let (last, length) = asked.last().expect("asked");
    assert!(last.starts_with("0 word") && last.len() < 4 * 512 * 16 && *length == 32, "{length}");
}

#[tokio::test]
async fn a_large_budget_does_not_make_a_summary_longer_than_what_it_is_made_of() {
    let (contexts, _alive) = sqlite_contexts().await;
    let texts: Vec<_> = (0..5).map(|n| format!("{n} {}", words(120_000))).collect();
    let id = holding(&contexts, &texts).await;

    let parts = window(&contexts, &Parrot::default(), id, 130_000).await.expect("a window");

    assert_eq!(cited(&parts), [(1, 4, 2_048), (5, 5, 120_001)]);
}
