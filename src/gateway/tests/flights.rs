//! Simultaneous requests for the same picture make one call, and every request gets an answer.

use futures::future::join_all;

use super::*;
use crate::config::OnDisconnect;
use crate::provider::Billed;

/// The number of simultaneous requests.
const CROWD: usize = 200;

fn origins(answers: &[Result<Rendition, Error>]) -> (usize, usize) {
    let count = |origin| answers.iter().flatten().filter(|answer| answer.origin == origin).count();
    (count(RenditionOrigin::Called(MissReason::Miss)), count(RenditionOrigin::Shared))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_simultaneous_requests_make_one_call_and_get_equal_renditions() {
    let fake = Arc::new(FakeProvider::new("a", 30.0).slow());
    let setup = Setup::new(std::slice::from_ref(&fake));
    let answers = join_all((0..CROWD).map(|_| setup.colorize(request(&png(1))))).await;
    assert_eq!(fake.calls(), 1);
    assert_eq!(origins(&answers), (1, CROWD - 1));
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

/// Sends a request and drops it when its call has begun.
async fn leaves_during_the_call(setup: &Setup, fake: &FakeProvider) {
    let begun = async {
        while fake.calls() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        biased;
        () = begun => {}
        answer = setup.colorize(request(&png(1))) => panic!("answered before it left: {answer:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_get_their_result_when_the_leader_leaves() {
    let fake = Arc::new(FakeProvider::new("a", 30.0).slow());
    let setup = Setup::new(std::slice::from_ref(&fake));
    leaves_during_the_call(&setup, &fake).await;
    let answers = join_all((0..CROWD).map(|_| setup.colorize(request(&png(1))))).await;
    assert_eq!((fake.calls(), origins(&answers)), (1, (0, CROWD)));
}

#[tokio::test]
async fn the_result_is_stored_when_every_client_leaves() {
    let fake = Arc::new(FakeProvider::new("a", 30.0).slow());
    let setup = Setup::new(std::slice::from_ref(&fake));
    leaves_during_the_call(&setup, &fake).await;
    assert!(setup.gateway.tasks().finish(Duration::from_secs(20)).await);
    assert!(matches!(setup.color(&png(1)).await.origin, RenditionOrigin::Cached(_)));
    assert_eq!(fake.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_failure_makes_one_call_and_every_request_gets_the_error() {
    let fake = Arc::new(FakeProvider::new("a", 30.0).slow().then(FakeOutcome::Fails));
    let setup = Setup::new(std::slice::from_ref(&fake));
    let answers = join_all((0..CROWD).map(|_| setup.colorize(request(&png(1))))).await;
    assert_eq!(fake.calls(), 1);
    for answer in answers {
        let Err(Error::NoProvider { attempts }) = answer else { panic!("{answer:?}") };
        assert_eq!(attempts[0].reason, "out of order");
    }
    setup.colorize(request(&png(1))).await.unwrap_err();
    assert_eq!(fake.calls(), 2, "a failure is not cached");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_flight_panics_one_follower_leads_again() {
    let fake = Arc::new(FakeProvider::new("a", 30.0).slow().then(FakeOutcome::DiesOnce));
    let setup = Setup::new(std::slice::from_ref(&fake));
    let answers = join_all((0..CROWD).map(|_| setup.colorize(request(&png(1))))).await;
    assert_eq!(fake.calls(), 2);
    assert_eq!(origins(&answers), (1, CROWD - 2));
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Err(Error::Internal))).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_every_flight_panics_all_requests_fail_after_two_flights() {
    let fake = Arc::new(FakeProvider::new("a", 30.0).slow().then(FakeOutcome::Dies));
    let setup = Setup::new(std::slice::from_ref(&fake));
    let answers = join_all((0..CROWD).map(|_| setup.colorize(request(&png(1))))).await;
    assert_eq!(fake.calls(), 2);
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Internal))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_leaders_deadline_is_reached_a_follower_with_time_left_leads_again() {
    let fake = Arc::new(FakeProvider::new("a", 30.0).slow());
    let setup = Setup::with(std::slice::from_ref(&fake), |config| {
        config.limits.decoding_pixels = config.limits.pixels;
    });
    // All decoder permits are taken for a while.
    let permits = u32::MAX;
    let taken = setup.gateway.decoding.enter(permits, Instant::now()).await.unwrap();
    let hurried =
        ColorizeRequest { deadline: Instant::now() + Duration::from_millis(100), ..request(&png(1)) };
    let (hurried, patient, ()) =
        futures::join!(setup.colorize(hurried), setup.colorize(request(&png(1))), async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            drop(taken);
        });
    assert!(matches!(hurried, Err(Error::Deadline { .. })), "{hurried:?}");
    assert_eq!(patient.unwrap().origin, RenditionOrigin::Called(MissReason::Miss));
    assert_eq!(fake.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_with_different_parameters_do_not_share_a_flight() {
    let fake = Arc::new(FakeProvider::new("a", 30.0).slow());
    let setup = Setup::with(std::slice::from_ref(&fake), |config| config.cache.enabled = false);
    let plain = request(&png(1));
    let requests = [
        plain.clone(),
        request(&png(2)),
        in_format(OutputFormat::Jpeg, plain.clone()),
        ColorizeRequest { reuse: Reuse { lookup: false, store: true }, ..plain.clone() },
        ColorizeRequest { reuse: Reuse { lookup: true, store: false }, ..plain.clone() },
        // Naming the only provider gives the same route.
        ColorizeRequest { provider: Some("a".to_owned()), ..plain.clone() },
        in_format(OutputFormat::Png, plain),
    ];
    let answers = join_all(requests.map(|request| setup.colorize(request))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(fake.calls(), 5);
}

/// A gateway where each client may spend 2 credits: one call.
fn with_a_budget_each(fakes: &[Arc<FakeProvider>]) -> Setup {
    Setup::with(fakes, |config| {
        cost(config, "high");
        config.budgets = [budget(BudgetScope::Client, 2_000_000)].into();
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_with_client_budgets_share_a_call() {
    let high = Arc::new(FakeProvider::new("high", 30.0).slow());
    let setup = with_a_budget_each(std::slice::from_ref(&high));
    let requests = (1..=200).map(|client| ColorizeRequest { client: client_at(client), ..request(&png(1)) });
    let answers = join_all(requests.map(|request| setup.colorize(request))).await;
    assert_eq!((high.calls(), origins(&answers)), (1, (1, 199)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_over_budget_does_not_affect_other_clients() {
    let by = |client: u8, seed: u8| ColorizeRequest { client: client_at(client), ..request(&png(seed)) };
    for with_another in [true, false] {
        let [high, low] = ["high", "low"].map(|name| Arc::new(FakeProvider::new(name, 30.0).slow()));
        let route = [high.clone(), low.clone()];
        let setup = with_a_budget_each(&route[..if with_another { 2 } else { 1 }]);
        setup.colorize(by(1, 1)).await.unwrap();

        // The client that is over budget comes first, so it leads. It waits, because all decoder permits are taken.
        let taken = setup.gateway.decoding.enter(u32::MAX, Instant::now()).await.unwrap();
        let asked = [(1, 0), (1, 50), (2, 50), (2, 50)].map(|(client, wait)| {
            let (setup, request) = (&setup, by(client, 2));
            async move {
                tokio::time::sleep(Duration::from_millis(wait)).await;
                setup.colorize(request).await
            }
        });
        let (answers, ()) = futures::join!(join_all(asked), async {
            tokio::time::sleep(Duration::from_millis(150)).await;
            drop(taken);
        });
        let by_high = |answer: &Rendition| answer.provider == "high" && !answer.degraded();
        assert!(answers[2..].iter().flatten().filter(|answer| by_high(answer)).count() == 2, "{answers:?}");
        for poor in &answers[..2] {
            match poor {
                Ok(answer) => assert!(with_another && answer.provider == "low" && answer.degraded()),
                Err(Error::NoProvider { .. }) => assert!(!with_another),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!((high.calls(), low.calls()), (2, usize::from(with_another)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_panic_is_a_failure_and_the_next_provider_is_called() {
    let fakes = [
        Arc::new(FakeProvider::new("a", 30.0).then(FakeOutcome::Panics)),
        Arc::new(FakeProvider::new("b", 30.0)),
    ];
    let setup = Setup::with(&fakes, |config| cost(config, "a"));
    let rendition = setup.color(&png(1)).await;
    let [attempt] = rendition.attempts.as_slice() else { panic!("{rendition:?}") };
    assert_eq!((attempt.provider.as_str(), attempt.kind), ("a", FailureKind::Failed));
    assert_eq!(attempt.billed, Billed::Unknown);
    assert_eq!(setup.metric("pixcolor_unknown_costs_total{provider=\"a\"}"), 1.0);
}

/// A closed connection. The check takes this long, so that another request can arrive meanwhile.
#[derive(Debug)]
struct ClosedConnection(Duration);

impl Connection for ClosedConnection {
    #[allow(clippy::disallowed_methods, reason = "connections are checked off the async threads")]
    fn is_open(&self) -> bool {
        std::thread::sleep(self.0);
        false
    }
}

fn with_on_disconnect(fake: &Arc<FakeProvider>, on_disconnect: OnDisconnect) -> Setup {
    Setup::with(std::slice::from_ref(fake), |config| {
        cost(config, "a");
        config.providers.get_mut("a").unwrap().on_disconnect = on_disconnect;
        config.budgets = [budget(BudgetScope::All, 2_000_000)].into();
    })
}

#[tokio::test]
async fn a_call_for_a_client_that_left_is_made_with_finish_and_costs_nothing_with_drop() {
    for (on_disconnect, calls) in [(OnDisconnect::Drop, 0), (OnDisconnect::Finish, 1)] {
        let fake = Arc::new(FakeProvider::new("a", 30.0));
        let setup = with_on_disconnect(&fake, on_disconnect);
        let left = ColorizeRequest {
            connection: Some(Arc::new(ClosedConnection(Duration::ZERO))),
            ..request(&png(1))
        };
        let answer = setup.colorize(left).await;
        assert_eq!(matches!(answer, Err(Error::Abandoned { .. })), calls == 0, "{answer:?}");
        // The budget allows one call: it is still unused with drop and used up with finish.
        assert_eq!(setup.colorize(request(&png(2))).await.is_ok(), calls == 0);
        assert_eq!(fake.calls(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_arrives_while_a_call_is_abandoned_leads_again() {
    let fake = Arc::new(FakeProvider::new("a", 30.0));
    let setup = with_on_disconnect(&fake, OnDisconnect::Drop);
    let moment = Duration::from_millis(400);
    let left = ColorizeRequest { connection: Some(Arc::new(ClosedConnection(moment))), ..request(&png(1)) };
    let (left, late) = futures::join!(setup.colorize(left), async {
        tokio::time::sleep(moment / 2).await;
        setup.colorize(request(&png(1))).await
    });
    assert!(matches!(left, Err(Error::Abandoned { .. })), "{left:?}");
    assert_eq!(late.unwrap().origin, RenditionOrigin::Called(MissReason::Miss));
    assert_eq!(fake.calls(), 1);
}
