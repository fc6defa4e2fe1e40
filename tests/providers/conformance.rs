//! The conformance suite that every provider must pass.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pixcolor::credit::CallBegun;
use pixcolor::photo::{Gray, Limits, Rgb};
use pixcolor::provider::{
    Audience, Billed, Call, FailureKind, Provider, ProviderColor, ProviderResponse, Readiness, Trace,
};

/// Runs the whole suite. `make` returns a new provider that is ready to colour.
pub async fn run(make: impl Fn() -> Arc<dyn Provider>) {
    has_a_complete_description(&make);
    colors_pictures_of_any_shape(make()).await;
    makes_no_call_after_the_deadline(make()).await;
    makes_no_call_after_all_clients_disconnected(make()).await;
    stays_usable_when_a_call_is_dropped(make()).await;
    serves_concurrent_calls_or_refuses_them_as_busy(make()).await;
}

fn gray(width: u32, height: u32) -> Arc<Gray> {
    let luma = (0..width * height).map(|i| (i.wrapping_mul(40_503) % 65_536) as u16 / 2 + 9_000).collect();
    Arc::new(Gray { width, height, luma })
}

fn call(width: u32, height: u32) -> Call {
    Call {
        gray: gray(width, height),
        deadline: Instant::now() + Duration::from_secs(60),
        trace: Trace::default(),
        audience: None,
        begun: CallBegun::default(),
    }
}

/// An audience whose clients have all disconnected.
#[derive(Debug)]
struct Empty;

#[async_trait]
impl Audience for Empty {
    async fn waits(&self) -> bool {
        false
    }
}

fn has_a_complete_description(make: impl Fn() -> Arc<dyn Provider>) {
    let (one, other) = (make(), make());
    let info = one.info();
    for text in [&info.name, &info.model, &info.version, &info.kind.to_owned()] {
        assert!(!text.trim().is_empty(), "{info:?}");
    }
    assert!(info.send_max_pixels > 0);
    assert_eq!(one.readiness(), Readiness::Ready);
    assert_eq!(info.identity(), other.info().identity(), "equal settings must give equal identities");
    let mut changed = info.clone();
    changed.send_max_pixels += 1;
    assert_ne!(info.identity(), changed.identity());
}

async fn colors_pictures_of_any_shape(provider: Arc<dyn Provider>) {
    for (width, height) in [(64, 64), (320, 200), (1, 1), (500, 3), (3, 500)] {
        let answer = provider.colorize(call(width, height)).await;
        let ProviderResponse { color, usage } =
            answer.unwrap_or_else(|error| panic!("{width} x {height}: {error}"));
        let chroma = match color {
            ProviderColor::Chroma(chroma) => chroma,
            ProviderColor::Picture(bytes) => {
                Rgb::decode(&bytes, &Limits::default()).unwrap().chroma().unwrap()
            }
            ProviderColor::Framed(bytes, frame) => {
                frame.cut(&Rgb::decode(&bytes, &Limits::default()).unwrap()).unwrap().chroma().unwrap()
            }
        };
        assert!(chroma.width > 0 && chroma.height > 0);
        if !provider.info().leaves_machine {
            assert!(usage.cpu.is_some_and(|cpu| cpu > Duration::ZERO), "{usage:?}");
        }
        assert!(usage.credits.is_none_or(|credits| credits.micro() >= 0));
    }
}

async fn makes_no_call_after_the_deadline(provider: Arc<dyn Provider>) {
    let late = Call {
        gray: gray(64, 64),
        deadline: Instant::now(),
        trace: Trace::default(),
        audience: None,
        begun: CallBegun::default(),
    };
    let error = provider.colorize(late).await.unwrap_err();
    assert_eq!((error.kind, error.billed), (FailureKind::Timeout, Billed::No), "{error:?}");
}

async fn makes_no_call_after_all_clients_disconnected(provider: Arc<dyn Provider>) {
    let left = Call { audience: Some(Arc::new(Empty)), ..call(64, 64) };
    let error = provider.colorize(left).await.unwrap_err();
    assert_eq!((error.kind, error.billed), (FailureKind::Abandoned, Billed::No), "{error:?}");
}

async fn stays_usable_when_a_call_is_dropped(provider: Arc<dyn Provider>) {
    for milliseconds in 0..8 {
        // The calls are dropped at once or while they run, unless they were refused or are already done.
        let _ = futures::poll!(provider.colorize(call(128, 128)));
        let call = provider.colorize(call(128, 128));
        let _ = tokio::time::timeout(Duration::from_millis(milliseconds), call).await;
    }
    // Dropped calls may still run; their slots are free when they end.
    let end = Instant::now() + Duration::from_secs(60);
    while let Err(error) = provider.colorize(call(64, 64)).await {
        assert!(error.kind == FailureKind::Busy && Instant::now() < end, "{error:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn serves_concurrent_calls_or_refuses_them_as_busy(provider: Arc<dyn Provider>) {
    let calls = (0..16).map(|_| provider.colorize(call(96, 96)));
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().any(Result::is_ok));
    for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert_eq!((error.kind, error.billed), (FailureKind::Busy, Billed::No), "{error:?}");
        assert!(error.kind.is_retryable());
    }
}
