//! Every option of a rendition has an entry of its own in the cache, and all of them share a paid call.

use super::*;
use crate::cache::Tier;
use crate::gateway::estimate::EstimateRequest;
use crate::photo::{DecodeOptions, Depth, MetadataPolicy, PhotoError, Rotation};

fn fake() -> Arc<FakeProvider> {
    Arc::new(FakeProvider::new("a", 20.0))
}

fn with_options(options: RenditionOptions, bytes: &[u8]) -> ColorizeRequest {
    ColorizeRequest { options, ..request(bytes) }
}

fn rotated(rotation: Rotation) -> RenditionOptions {
    let decode = DecodeOptions { rotation, ..DecodeOptions::default() };
    RenditionOptions { decode, ..RenditionOptions::default() }
}

/// Options that change the file but not the photo, for a PNG.
fn same_photo() -> Vec<RenditionOptions> {
    use MetadataPolicy::{Keep, KeepWithoutLocation, Strip};
    [Strip, Keep, KeepWithoutLocation]
        .into_iter()
        .flat_map(|metadata| {
            [Depth::Eight, Depth::Sixteen].map(|depth| RenditionOptions {
                metadata,
                depth,
                ..RenditionOptions::default()
            })
        })
        .collect()
}

impl Setup {
    async fn part(&self, options: RenditionOptions, bytes: &[u8]) -> Option<CachedPart> {
        let request = EstimateRequest {
            size: None,
            fingerprint: Some(Upload::new(bytes.to_vec().into()).fingerprint),
            provider: None,
            input: None,
            options,
            client: Client { address: None, key: None },
            lookup: true,
        };
        self.gateway.estimate(self.gateway.snapshot(), request).await.unwrap().providers[0].cached
    }

    async fn by_fingerprint(
        &self,
        options: RenditionOptions,
        bytes: &[u8],
    ) -> Result<Option<Rendition>, Error> {
        let fingerprint = Upload::new(bytes.to_vec().into()).fingerprint;
        let client = Client { address: None, key: None };
        self.gateway.lookup_rendition(self.gateway.snapshot(), fingerprint, None, options, &client).await
    }
}

#[tokio::test]
async fn each_metadata_policy_and_depth_has_its_own_entry_and_all_share_one_call() {
    let fake = fake();
    let setup = Setup::new(std::slice::from_ref(&fake));
    for (turn, options) in same_photo().into_iter().enumerate() {
        let expected = if turn == 0 { CachedPart::Nothing } else { CachedPart::Color };
        assert_eq!(setup.part(options, &png(1)).await, Some(expected), "{options:?}");
        assert!(setup.by_fingerprint(options, &png(1)).await.unwrap().is_none(), "{options:?}");
        let made = setup.colorize(with_options(options, &png(1))).await.unwrap();
        let expected = match turn {
            0 => RenditionOrigin::Called(MissReason::Miss),
            _ => RenditionOrigin::Merged(Tier::Memory),
        };
        assert_eq!(made.origin, expected, "{options:?}");
    }
    for options in same_photo() {
        let again = setup.colorize(with_options(options, &png(1))).await.unwrap();
        assert_eq!(again.origin, RenditionOrigin::Cached(Tier::Memory), "{options:?}");
        assert_eq!(again.pages, Some(1));
        let found = setup.by_fingerprint(options, &png(1)).await.unwrap().unwrap();
        assert_eq!((found.digest, found.pages), (again.digest, Some(1)), "{options:?}");
        assert_eq!(setup.part(options, &png(1)).await, Some(CachedPart::Rendition), "{options:?}");
    }
    assert_eq!(fake.calls(), 1);
}

#[tokio::test]
async fn a_rotated_photo_is_another_photo() {
    for luma_lock in [true, false] {
        let fake = Arc::new(FakeProvider::new("a", 20.0).about(|about| about.luma_lock = luma_lock));
        let setup = Setup::new(std::slice::from_ref(&fake));
        let rotations = [Rotation::None, Rotation::Quarter, Rotation::Half, Rotation::ThreeQuarters];
        let mut digests = Vec::new();
        for (turn, rotation) in rotations.into_iter().enumerate() {
            let made = setup.colorize(with_options(rotated(rotation), &png(1))).await.unwrap();
            assert_eq!(made.origin, RenditionOrigin::Called(MissReason::Miss), "{rotation:?}");
            assert_eq!(fake.calls(), turn + 1);
            let upright = matches!(rotation, Rotation::None | Rotation::Half);
            assert_eq!((made.width, made.height), if upright { (40, 30) } else { (30, 40) });
            digests.push(made.digest);
        }
        for (rotation, digest) in rotations.into_iter().zip(&digests) {
            let again = setup.colorize(with_options(rotated(rotation), &png(1))).await.unwrap();
            assert_eq!((again.origin, again.digest), (RenditionOrigin::Cached(Tier::Memory), *digest));
            // The colour of the rotated photo serves other options of the same rotation.
            let options = RenditionOptions { metadata: MetadataPolicy::Keep, ..rotated(rotation) };
            assert_eq!(
                setup.colorize(with_options(options, &png(1))).await.unwrap().origin,
                RenditionOrigin::Merged(Tier::Memory)
            );
        }
        digests.sort_unstable();
        digests.dedup();
        assert_eq!((digests.len(), fake.calls()), (4, 4));
    }
}

#[tokio::test]
async fn sixteen_bits_need_a_format_that_has_them() {
    let fake = fake();
    let setup = Setup::new(std::slice::from_ref(&fake));
    let deep = RenditionOptions { depth: Depth::Sixteen, ..RenditionOptions::default() };
    let jpeg_file = file(image::ImageFormat::Jpeg, 1);
    for (format, words) in [
        (OutputFormat::Jpeg, "JPEG has 8 bits per sample: add `format=png` or `format=tiff`"),
        (OutputFormat::WebP, "WebP has 8 bits per sample: add `format=png` or `format=tiff`"),
    ] {
        let options = RenditionOptions { format: Some(format), ..deep };
        let refused = setup.colorize(with_options(options, &png(1))).await.unwrap_err();
        assert_eq!(refused.to_string(), words);
        let refused = setup.by_fingerprint(options, &png(1)).await.unwrap_err();
        assert_eq!(refused.to_string(), words);
    }
    let refused = setup.colorize(with_options(deep, &jpeg_file)).await.unwrap_err();
    assert!(matches!(refused, Error::UnsupportedDepth { format: OutputFormat::Jpeg }), "the upload's format");
    assert_eq!(fake.calls(), 0);

    setup.color(&jpeg_file).await;
    assert!(setup.by_fingerprint(deep, &jpeg_file).await.unwrap().is_none(), "a JPEG is not a result");
    let as_png = RenditionOptions { format: Some(OutputFormat::Png), ..deep };
    setup.colorize(with_options(as_png, &jpeg_file)).await.unwrap();
    let found = setup.by_fingerprint(deep, &jpeg_file).await.unwrap().unwrap();
    assert_eq!((found.format, fake.calls()), (OutputFormat::Png, 1));
}

#[tokio::test]
async fn a_page_that_does_not_exist_is_an_error_before_any_work() {
    let fake = fake();
    let setup = Setup::new(std::slice::from_ref(&fake));
    let decode = DecodeOptions { page: 2, ..DecodeOptions::default() };
    let options = RenditionOptions { decode, ..RenditionOptions::default() };
    let refused = setup.colorize(with_options(options, &png(1))).await.unwrap_err();
    assert!(matches!(refused, Error::Photo(PhotoError::NoSuchPage { page: 2, pages: 1 })), "{refused}");
    assert!(setup.by_fingerprint(options, &png(1)).await.unwrap().is_none());
    assert_eq!((fake.calls(), setup.stored().await), (0, 0));
}

#[tokio::test]
async fn a_change_of_the_mark_needs_no_new_call() {
    let fake = fake();
    let setup = Setup::with(std::slice::from_ref(&fake), |config| config.output.mark = false);
    setup.color(&png(1)).await;
    let setup = setup.again(std::slice::from_ref(&fake));
    let options = RenditionOptions::default();
    assert_eq!(setup.part(options, &png(1)).await, Some(CachedPart::Color));
    // The colour is used even if no provider could be called. The estimate has read it into memory.
    fake.ready.store(false, Ordering::SeqCst);
    assert_eq!(setup.color(&png(1)).await.origin, RenditionOrigin::Merged(Tier::Memory));
    assert_eq!(setup.color(&png(1)).await.origin, RenditionOrigin::Cached(Tier::Memory));
    assert_eq!(fake.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_with_different_options_do_not_share_a_flight() {
    let fake = Arc::new(FakeProvider::new("a", 30.0).slow());
    let setup = Setup::with(std::slice::from_ref(&fake), |config| config.cache.enabled = false);
    let all = same_photo().into_iter().chain([rotated(Rotation::Half)]);
    let requests: Vec<_> = all.map(|options| with_options(options, &png(1))).collect();
    let count = requests.len();
    let twice = requests.iter().chain(&requests).cloned();
    let answers = futures::future::join_all(twice.map(|request| setup.colorize(request))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(fake.calls(), count);
}
