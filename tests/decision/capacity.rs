//! A zone that is too small for the load is entered all the same, and never silently.

use std::num::NonZeroU32;

use super::*;

/// `fz-2` can take 2 × 4 requests at once.
fn small_standby() -> Config {
    let mut config = two_zones();
    for backend in &mut config.zones[1].backends {
        backend.max_in_flight = NonZeroU32::new(4);
    }
    config
}

fn told_at_the_flip(stage: &mut Stage) -> Vec<String> {
    stage.break_("fz-1:postgres");
    stage.settle();
    stage.flips().last().unwrap().shedding.clone()
}

#[test]
fn what_the_new_zone_can_not_take_is_told_with_the_flip() {
    let mut stage = running(small_standby());
    stage.checker.handle_load(&[12], stage.now);
    stage.pass(SECOND);
    stage.checker.handle_load(&[3], stage.now);
    let told = told_at_the_flip(&mut stage);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("fz-2 can take 8 of 12 requests in flight (pool "),
        "{told:?}"
    );
}

#[test]
fn a_load_that_fits_a_past_one_and_a_zone_without_limits_are_not_worth_a_word() {
    let mut stage = running(small_standby());
    stage.checker.handle_load(&[8], stage.now);
    assert!(told_at_the_flip(&mut stage).is_empty());

    let mut stage = running(small_standby());
    stage.checker.handle_load(&[100], stage.now);
    for _ in 0..2 {
        stage.pass(SECOND * 5);
        stage.checker.handle_load(&[0], stage.now);
    }
    assert!(told_at_the_flip(&mut stage).is_empty());

    let mut stage = running(two_zones());
    stage.checker.handle_load(&[1000], stage.now);
    assert!(told_at_the_flip(&mut stage).is_empty());
}
