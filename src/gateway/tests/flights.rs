//! Many requests at once for the same picture are one call, and nobody hangs whatever becomes of it.

use futures::future::join_all;

use super::*;

fn origins(answers: &[Result<Rendition, Error>]) -> (usize, usize) {
    let count = |origin| answers.iter().flatten().filter(|answer| answer.origin == origin).count();
    (count(Origin::Called(Why::Miss)), count(Origin::Shared))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_at_once_are_one_call_and_equal_answers() {
    let fake = Arc::new(Fake::new("a", 30.0).slow());
    let setup = Setup::new(std::slice::from_ref(&fake));
    let answers = join_all((0..200).map(|_| setup.ask(ask(&png(1))))).await;
    assert_eq!(fake.calls(), 1);
    assert_eq!(origins(&answers), (1, 199));
    let first = answers[0].as_ref().unwrap();
    for answer in answers.iter().flatten() {
        assert_eq!((&answer.bytes, answer.digest), (&first.bytes, first.digest));
        let paid = answer.usage.credits.unwrap();
        let saved = answer.saved.map_or(Credits::ZERO, |saved| saved.credits.unwrap());
        assert_eq!(paid.micro() + saved.micro(), 1_500_000);
    }
    assert_eq!(
        setup.metric("pixcolor_saved_credits_total{provider=\"a\",reason=\"coalesced\"}"),
        199.0 * 1.5
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_leaves_does_not_harm_the_others() {
    let fake = Arc::new(Fake::new("a", 30.0).slow());
    let setup = Setup::new(std::slice::from_ref(&fake));
    let leader = setup.ask(ask(&png(1)));
    assert!(tokio::time::timeout(Duration::from_millis(50), leader).await.is_err(), "it is dropped now");
    assert_eq!(fake.calls(), 1);
    let answers = join_all((0..20).map(|_| setup.ask(ask(&png(1))))).await;
    assert_eq!((fake.calls(), origins(&answers)), (1, (0, 20)));
}

#[tokio::test]
async fn when_all_leave_the_result_is_kept_all_the_same() {
    let fake = Arc::new(Fake::new("a", 30.0).slow());
    let setup = Setup::new(std::slice::from_ref(&fake));
    let leader = setup.ask(ask(&png(1)));
    assert!(tokio::time::timeout(Duration::from_millis(50), leader).await.is_err());
    assert!(setup.gateway.tasks().finish(Duration::from_secs(20)).await);
    assert!(matches!(setup.colour(&png(1)).await.origin, Origin::Kept(_)));
    assert_eq!(fake.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_provider_fails_all_get_the_same_error_and_it_is_asked_once() {
    let fake = Arc::new(Fake::new("a", 30.0).slow().then(Then::Fails));
    let setup = Setup::new(std::slice::from_ref(&fake));
    let answers = join_all((0..50).map(|_| setup.ask(ask(&png(1))))).await;
    assert_eq!(fake.calls(), 1);
    for answer in answers {
        let Err(Error::NoProvider { attempts }) = answer else { panic!("{answer:?}") };
        assert_eq!(attempts[0].reason, "out of order");
    }
    setup.ask(ask(&png(1))).await.unwrap_err();
    assert_eq!(fake.calls(), 2, "a failure is not kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_flight_dies_one_of_the_others_sets_out_again() {
    let fake = Arc::new(Fake::new("a", 30.0).slow().then(Then::DiesOnce));
    let setup = Setup::new(std::slice::from_ref(&fake));
    let answers = join_all((0..50).map(|_| setup.ask(ask(&png(1))))).await;
    assert_eq!(fake.calls(), 2);
    assert_eq!(origins(&answers), (1, 48));
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Err(Error::Internal))).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_every_flight_dies_all_are_told_and_it_is_not_tried_for_ever() {
    let fake = Arc::new(Fake::new("a", 30.0).slow().then(Then::Dies));
    let setup = Setup::new(std::slice::from_ref(&fake));
    let answers = join_all((0..50).map(|_| setup.ask(ask(&png(1))))).await;
    assert_eq!(fake.calls(), 2);
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Internal))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_out_of_time_leaves_the_flight_to_who_has_some_left() {
    let fake = Arc::new(Fake::new("a", 30.0).slow());
    let setup = Setup::with(std::slice::from_ref(&fake), |config| {
        config.limits.decoding_pixels = config.limits.pixels;
    });
    // All places before the decoder are taken for a while.
    let places = u32::MAX;
    let taken = setup.gateway.decoding.enter(places, Instant::now()).await.unwrap();
    let hurried = Ask { deadline: Instant::now() + Duration::from_millis(100), ..ask(&png(1)) };
    let (hurried, patient, ()) = futures::join!(setup.ask(hurried), setup.ask(ask(&png(1))), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(taken);
    });
    assert!(matches!(hurried, Err(Error::Deadline { .. })), "{hurried:?}");
    assert_eq!(patient.unwrap().origin, Origin::Called(Why::Miss));
    assert_eq!(fake.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_want_something_else_do_not_share() {
    let fake = Arc::new(Fake::new("a", 30.0).slow());
    let setup = Setup::with(std::slice::from_ref(&fake), |config| config.cache.enabled = false);
    let plain = ask(&png(1));
    let asks = [
        plain.clone(),
        ask(&png(2)),
        Ask { format: Some(OutputFormat::Jpeg), ..plain.clone() },
        Ask { reuse: Reuse { find: false, keep: true }, ..plain.clone() },
        Ask { reuse: Reuse { find: true, keep: false }, ..plain.clone() },
        // By name it is the same route.
        Ask { provider: Some("a".to_owned()), ..plain.clone() },
        Ask { format: Some(OutputFormat::Png), ..plain },
    ];
    let answers = join_all(asks.map(|ask| setup.ask(ask))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(fake.calls(), 5);
}
