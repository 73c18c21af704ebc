//! What every plan keeps to, whatever the sizes and the budget.

use proptest::prelude::*;

use super::*;

const BYTES: u64 = 3 * 1024 * 1024;

fn size(tokens: u32) -> MessageSize {
    MessageSize { tokens, bytes: tokens * 6 }
}

fn of(tokens: u64) -> Room {
    Room { tokens, bytes: BYTES }
}

/// What a step takes at most.
fn most(step: &Step, sizes: &[MessageSize]) -> Room {
    match step.how {
        How::Verbatim => {
            let [first, last] = [step.first, step.last].map(|n| usize::try_from(n).expect("small"));
            verbatim(&sizes[first - 1..last])
        }
        How::Summarized(room) => Room { tokens: room.tokens, bytes: room.bytes + PART_BYTES },
        How::Named => Room { tokens: 0, bytes: PART_BYTES },
    }
}

#[test]
fn a_context_without_messages_has_an_empty_window() {
    assert_eq!(plan(&[], of(16)), []);
}

#[test]
fn what_fits_is_left_as_it_is() {
    assert_eq!(plan(&[size(10), size(6)], of(16)), [Step { first: 1, last: 2, how: How::Verbatim }]);
}

#[test]
fn the_newest_go_verbatim_up_to_three_quarters() {
    let steps = plan(&[size(50), size(40), size(40), size(35)], of(100));

    let [older, newer] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!((newer.first, newer.last, newer.how), (3, 4, How::Verbatim));
    assert_eq!((older.first, older.last), (1, 2));
    assert!(matches!(older.how, How::Summarized(Room { tokens: 25, .. })), "{older:?}");
}

#[test]
fn the_newest_may_take_what_the_older_would_have_had() {
    let steps = plan(&[size(50), size(100)], of(100));

    assert_eq!(
        steps,
        [Step { first: 1, last: 1, how: How::Named }, Step { first: 2, last: 2, how: How::Verbatim }]
    );
}

#[test]
fn a_newest_message_beyond_the_budget_is_summarised_by_itself() {
    let steps = plan(&[size(50), size(50), size(101)], of(100));

    let [older, newest] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!((older.first, older.last, newest.first, newest.last), (1, 2, 3, 3));
    for half in [older, newest] {
        assert!(matches!(half.how, How::Summarized(Room { tokens: 50, .. })), "{half:?}");
    }
}

#[test]
fn an_only_message_beyond_the_budget_has_all_of_it() {
    let steps = plan(&[size(101)], of(100));

    let [only] = steps.as_slice() else { panic!("{steps:?}") };
    assert!(matches!(only.how, How::Summarized(Room { tokens: 100, .. })), "{only:?}");
}

#[test]
fn borders_stay_where_they_are_as_a_context_grows() {
    let mut sizes: Vec<_> = (0..40).map(|n| size(20_000 + n * 1_000)).collect();
    let before = segments(&sizes);
    sizes.extend([size(90_000); 40]);
    let after = segments(&sizes);

    assert!(before.len() > 2, "{before:?}");
    assert_eq!(before[..before.len() - 1], after[..before.len() - 1]);
}

#[test]
fn a_segment_is_what_one_call_carries() {
    let half = u32::try_from(SEGMENT_BYTES_MAX / 2).expect("small");
    let sizes =
        |bytes: &[u32]| bytes.iter().map(|&bytes| MessageSize { tokens: 1, bytes }).collect::<Vec<_>>();

    assert_eq!(segments(&sizes(&[half, half - 2])).len(), 1);
    assert_eq!(segments(&sizes(&[half, half - 1])), [0..1, 1..2]);
    assert_eq!(segments(&sizes(&[half * 2, half * 2])), [0..1, 1..2]);
    assert_eq!(segments(&vec![MessageSize { tokens: 0, bytes: 1 }; SEGMENT_MESSAGES_MAX + 1]).len(), 2);
}

#[test]
fn a_window_costs_a_bounded_number_of_calls() {
    let sizes = vec![MessageSize { tokens: 300_000, bytes: 2_000_000 }; 100];

    let steps = plan(&sizes, of(1_000_000));

    let told = steps.iter().filter(|step| matches!(step.how, How::Summarized(_))).count();
    assert_eq!(told, SEGMENTS_MAX);
    assert_eq!(steps.first().map(|step| (step.first, step.how)), Some((1, How::Named)));
}

prop_compose! {
    fn sizes()(
        sizes in prop::collection::vec(
            prop_oneof![
                8 => (0_u32..200, 1_u32..2_000),
                1 => (0_u32..200_000, 1_u32..2_097_152),
                1 => (0_u32..1, 1_u32..2_097_152),
            ],
            0..60,
        ),
    ) -> Vec<MessageSize> {
        sizes.into_iter().map(|(tokens, bytes)| MessageSize { tokens, bytes }).collect()
    }
}

fn budget() -> impl Strategy<Value = Room> {
    let tokens = prop_oneof![16_u64..200, 16_u64..20_000, 16_u64..=1_000_000];
    (tokens, prop_oneof![Just(BYTES), 2_300_000..BYTES]).prop_map(|(tokens, bytes)| Room { tokens, bytes })
}

proptest! {
    #[test]
    fn no_plan_exceeds_its_budget(sizes in sizes(), budget in budget()) {
        let taken = plan(&sizes, budget).iter().fold(Room::default(), |sum, step| sum + most(step, &sizes));
        prop_assert!(taken.fits(budget), "{:?}", taken);
    }

    #[test]
    fn each_message_is_cited_once_and_in_order(sizes in sizes(), budget in budget()) {
        let mut next = 1;
        for step in plan(&sizes, budget) {
            prop_assert_eq!(step.first, next);
            prop_assert!(step.last >= step.first);
            next = step.last + 1;
        }
        prop_assert_eq!(next, sizes.len() as u64 + 1);
    }

    #[test]
    fn verbatim_stands_last_and_holds_the_newest_that_fits(sizes in sizes(), budget in budget()) {
        let steps = plan(&sizes, budget);
        let before = steps.len().saturating_sub(1);
        prop_assert!(steps[..before].iter().all(|step| step.how != How::Verbatim));
        if let (Some(newest), Some(last)) = (sizes.last(), steps.last()) {
            let fits = u64::from(newest.tokens) <= budget.tokens;
            prop_assert_eq!(last.how == How::Verbatim, fits);
        }
    }

    #[test]
    fn every_summary_is_one_that_the_service_can_make(sizes in sizes(), budget in budget()) {
        for step in plan(&sizes, budget) {
            if let How::Summarized(room) = step.how {
                let [first, last] = [step.first, step.last].map(|n| usize::try_from(n).expect("small"));
                let texts = &sizes[first - 1..last];
                let bytes: u64 = texts.iter().map(|size| u64::from(size.bytes)).sum();
                prop_assert!((1..=SUMMARY_TOKENS_MAX).contains(&room.tokens));
                prop_assert!(bytes + (texts.len() as u64 - 1) * 2 <= SEGMENT_BYTES_MAX);
                prop_assert!(tokens(texts) > 0 || step.last as usize == sizes.len());
            }
        }
    }

    #[test]
    fn the_same_gives_the_same(sizes in sizes(), budget in budget()) {
        prop_assert_eq!(plan(&sizes, budget), plan(&sizes, budget));
    }
}
