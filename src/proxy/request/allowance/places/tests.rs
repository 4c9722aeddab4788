use std::hash::{BuildHasher, RandomState};

use proptest::prelude::*;

use super::*;

/// Its words that still count somebody.
fn counted(places: &Places) -> u64 {
    let words = places.0.iter().flat_map(|line| &line.0);
    words
        .map(|word| word.load(Ordering::Relaxed) & NUMBER)
        .sum()
}

#[test]
fn a_client_has_as_many_places_as_it_may_and_gets_them_back() {
    let places = Arc::new(Places::default());
    let enter = || Places::enter(&places, 7 << 40, 2);
    let (first, second) = (enter(), enter());
    assert!(first.is_some() && second.is_some());
    assert!(enter().is_none());
    drop(first);
    let third = enter();
    assert!(third.is_some() && enter().is_none());
    assert!(Places::enter(&places, 8 << 40, 2).is_some());
    drop((second, third));
    assert_eq!(counted(&places), 0);
}

#[test]
fn a_ninth_client_of_one_line_is_let_in_uncounted() {
    let places = Arc::new(Places::default());
    let enter = |client: u64| Places::enter(&places, client << 40, 1);
    let eight: Vec<_> = (1..=8).map(enter).collect();
    assert!(eight.iter().all(Option::is_some));
    let ninth = enter(9);
    assert!(ninth.is_some() && enter(9).is_some());
    // The eight are counted as before.
    assert!((1..=8).all(|client| enter(client).is_none()));
    drop(ninth);
    drop(eight);
    assert_eq!(counted(&places), 0);
}

#[test]
fn few_of_as_many_clients_as_a_listener_takes_go_uncounted() {
    let places = Arc::new(Places::default());
    let seed = RandomState::new();
    let all: Vec<_> = (0..20_000)
        .map(|client| Places::enter(&places, seed.hash_one(client), 1))
        .collect();
    let uncounted = all.iter().flatten().filter(|place| place.at.is_none());
    assert!(uncounted.count() < 20);
    drop(all);
    assert_eq!(counted(&places), 0);
    assert_eq!(size_of_val(&*places.0), 1 << 20);
}

#[test]
fn workers_that_let_the_same_client_in_count_together() {
    let places = Arc::new(Places::default());
    // One is in before, so that they don't both make a first entry for it.
    let _first = Places::enter(&places, 7 << 40, 100);
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let places = Arc::clone(&places);
            std::thread::spawn(move || {
                let entered = (0..100).filter_map(|_| Places::enter(&places, 7 << 40, 100));
                entered.collect::<Vec<_>>()
            })
        })
        .collect();
    let entered: Vec<_> = workers
        .into_iter()
        .map(|w| w.join().expect("it ends"))
        .collect();
    assert_eq!(entered.iter().flatten().count(), 99);
}

proptest! {
    #[test]
    fn whatever_comes_and_goes_the_count_is_right(
        steps in proptest::collection::vec((0_u64..6, any::<bool>()), 0..200), max in 1_u32..5,
    ) {
        let places = Arc::new(Places::default());
        let mut inside: Vec<(u64, Place)> = Vec::new();
        for (client, comes) in steps {
            let has = inside.iter().filter(|(other, _)| *other == client).count();
            if comes {
                let place = Places::enter(&places, client << 40, max);
                prop_assert_eq!(place.is_some(), has < max as usize);
                inside.extend(place.map(|place| (client, place)));
            } else if let Some(at) = inside.iter().position(|(other, _)| *other == client) {
                inside.swap_remove(at);
            }
            // All of them are in the first line.
            let words = places.0[0].0.iter().map(|word| word.load(Ordering::Relaxed) & NUMBER);
            prop_assert_eq!(words.sum::<u64>(), inside.len() as u64);
        }
    }
}
