//! Panics of codecs, and work that codecs are spared.

use super::*;
use crate::photo::{CodecStep, PhotoError, caught};

#[tokio::test]
async fn a_codec_panic_becomes_an_error_and_is_counted_by_step() {
    let setup = Setup::new(&[Arc::new(FakeProvider::new("one", 20.0))]);
    let counted = || {
        ["decode", "encode"].map(|step| {
            let line = format!("pixcolor_codec_panics_total{{step=\"{step}\"}}");
            let text = setup.gateway.metrics().text(&LedgerSnapshot::default()).unwrap();
            assert!(text.contains(&line), "the counter exists from the start");
            setup.metric(&line)
        })
    };
    assert_eq!(counted(), [0.0, 0.0]);
    for (step, then) in [(CodecStep::Decode, [1.0, 0.0]), (CodecStep::Encode, [1.0, 1.0])] {
        let planted = move || caught::<()>(step, "PNG", || panic!("on purpose"));
        let error = setup.gateway.codec(planted).await.unwrap_err();
        assert!(matches!(error, Error::Photo(PhotoError::Panicked(at, _)) if at == step), "{error:?}");
        assert_eq!(counted(), then);
    }
    // Other errors are not counted, and the gateway continues to work.
    let broken = || Err::<(), _>(PhotoError::Broken("cut short".to_owned()));
    setup.gateway.codec(broken).await.unwrap_err();
    assert_eq!(setup.color(&png(0)).await.provider, "one");
    assert_eq!(counted(), [1.0, 1.0]);
}

#[tokio::test]
async fn without_a_provider_that_can_be_called_an_upload_is_not_decoded() {
    let one = Arc::new(FakeProvider::new("one", 20.0));
    let setup = Setup::new(std::slice::from_ref(&one));
    setup.color(&png(0)).await;
    // The header is complete, and nothing can be decoded.
    let broken = &png(1)[..40];
    let error = setup.colorize(request(broken)).await.unwrap_err();
    assert!(matches!(error, Error::Photo(PhotoError::Broken(_))), "{error:?}");
    one.ready.store(false, Ordering::SeqCst);
    let error = setup.colorize(request(broken)).await.unwrap_err();
    assert!(matches!(&error, Error::NoProvider { attempts } if attempts.len() == 1), "{error:?}");
    // The colour of a file with a cached result may be cached, too.
    let other_format = in_format(OutputFormat::Jpeg, request(&png(0)));
    assert!(matches!(setup.colorize(other_format).await.unwrap().origin, RenditionOrigin::Merged(_)));
}
