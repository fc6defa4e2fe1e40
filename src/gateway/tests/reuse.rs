//! Cached results save calls, and are never returned for a request that needs another result.

use super::*;
use crate::cache::Tier;
use crate::config::CacheSharing;

fn fakes<const N: usize>(names: [&str; N]) -> [Arc<FakeProvider>; N] {
    let mut color = 0.0;
    names.map(|name| {
        color += 20.0;
        Arc::new(FakeProvider::new(name, color))
    })
}

#[tokio::test]
async fn a_repeated_request_costs_nothing_and_reports_what_it_saved() {
    let [fake] = fakes(["a"]);
    let setup = Setup::new(std::slice::from_ref(&fake));
    let first = setup.color(&png(1)).await;
    assert_eq!((first.origin, first.saved), (RenditionOrigin::Called(MissReason::Miss), None));
    assert_eq!(first.usage.credits, Some(Credits::from_micro(1_500_000)));

    let second = setup.color(&png(1)).await;
    assert_eq!(fake.calls(), 1);
    assert_eq!(second.origin, RenditionOrigin::Cached(Tier::Memory));
    assert_eq!((second.bytes, second.digest), (first.bytes, first.digest));
    assert_eq!((second.width, second.height, second.format), (40, 30, OutputFormat::Png));
    assert_eq!((second.provider, second.model), (first.provider, first.model));
    assert_eq!(second.usage.credits, Some(Credits::ZERO));
    let saved = second.saved.unwrap();
    assert_eq!(saved.credits, Some(Credits::from_micro(1_500_000)));
    assert!(saved.time > Duration::ZERO);

    assert_eq!(setup.metric("pixcolor_renditions_total{origin=\"miss\"}"), 1.0);
    assert_eq!(setup.metric("pixcolor_renditions_total{origin=\"memory\"}"), 1.0);
    assert_eq!(setup.metric("pixcolor_saved_credits_total{provider=\"a\",reason=\"hit\"}"), 1.5);
    assert!(setup.metric("pixcolor_saved_seconds_total{reason=\"hit\"}") > 0.0);
}

#[tokio::test]
async fn a_repeated_request_after_a_restart_costs_nothing() {
    let [fake] = fakes(["a"]);
    let setup = Setup::new(std::slice::from_ref(&fake));
    let first = setup.color(&png(1)).await;
    let setup = setup.again(std::slice::from_ref(&fake));
    let second = setup.color(&png(1)).await;
    assert_eq!((fake.calls(), second.origin), (1, RenditionOrigin::Cached(Tier::Disk)));
    assert_eq!(second.bytes, first.bytes);
    assert_eq!(
        setup.color(&png(1)).await.origin,
        RenditionOrigin::Cached(Tier::Memory),
        "the hit on disk was copied to memory"
    );
}

#[tokio::test]
async fn another_file_or_format_of_a_known_picture_is_merged_without_a_call() {
    let [fake] = fakes(["a"]);
    let setup = Setup::new(std::slice::from_ref(&fake));
    let from_png = setup.color(&png(1)).await;
    let from_bmp = setup.color(&file(image::ImageFormat::Bmp, 1)).await;
    assert_eq!((fake.calls(), from_bmp.origin), (1, RenditionOrigin::Merged(Tier::Memory)));
    assert_eq!(from_bmp.bytes, from_png.bytes, "fresh and cached colour give the same picture");
    assert_eq!(from_bmp.saved.unwrap().credits, Some(Credits::from_micro(1_500_000)));
    assert_eq!(from_bmp.usage.credits, Some(Credits::ZERO));

    let webp = in_format(OutputFormat::WebP, request(&png(1)));
    let webp = setup.colorize(webp).await.unwrap();
    assert_eq!(
        (fake.calls(), webp.origin, webp.format),
        (1, RenditionOrigin::Merged(Tier::Memory), OutputFormat::WebP)
    );
    let again = setup.color(&file(image::ImageFormat::Bmp, 1)).await;
    assert_eq!(again.origin, RenditionOrigin::Cached(Tier::Memory));
    assert_eq!(again.saved.unwrap().credits, Some(Credits::from_micro(1_500_000)));

    assert_eq!(
        setup.color(&png(2)).await.origin,
        RenditionOrigin::Called(MissReason::Miss),
        "another picture"
    );
    assert_eq!(fake.calls(), 2);
}

#[tokio::test]
async fn no_cache_forces_a_call_and_no_store_stores_nothing() {
    let [fake] = fakes(["a"]);
    let setup = Setup::new(std::slice::from_ref(&fake));
    let with = |lookup, store| ColorizeRequest { reuse: Reuse { lookup, store }, ..request(&png(1)) };
    let not_stored = setup.colorize(with(true, false)).await.unwrap();
    assert_eq!((not_stored.origin, not_stored.cache_key), (RenditionOrigin::Called(MissReason::Miss), None));
    assert_eq!(setup.stored().await, 0);

    setup.colorize(with(true, true)).await.unwrap();
    assert_eq!((fake.calls(), setup.stored().await), (2, 3));
    assert_eq!(
        setup.colorize(with(true, false)).await.unwrap().origin,
        RenditionOrigin::Cached(Tier::Memory)
    );
    let forced = setup.colorize(with(false, true)).await.unwrap();
    assert_eq!((forced.origin, fake.calls()), (RenditionOrigin::Called(MissReason::Request), 3));
    assert!(forced.cache_key.is_some());
}

#[tokio::test]
async fn nothing_is_stored_if_caching_is_off_for_the_provider_or_entirely() {
    let [fake] = fakes(["a"]);
    type SnapshotChange = fn(&mut Config);
    let by_provider: SnapshotChange = |config| {
        config.providers.values_mut().for_each(|provider| provider.common.cache = false);
    };
    let off: SnapshotChange = |config| config.cache.enabled = false;
    for (turn, change) in [by_provider, off].into_iter().enumerate() {
        let setup = Setup::with(std::slice::from_ref(&fake), change);
        for call in 1..=2 {
            let rendition = setup.color(&png(1)).await;
            assert_eq!(
                (rendition.origin, rendition.cache_key),
                (RenditionOrigin::Called(MissReason::Bypass), None)
            );
            assert_eq!(fake.calls(), turn * 2 + call);
        }
        assert_eq!(setup.stored().await, 0);
    }
}

#[tokio::test]
async fn a_new_provider_version_never_returns_old_color() {
    let [old] = fakes(["a"]);
    let new = Arc::new(FakeProvider::new("a", -30.0).about(|about| about.version = "2".to_owned()));
    let setup = Setup::new(&[old]);
    let first = setup.color(&png(1)).await;
    let second = setup.again(std::slice::from_ref(&new)).color(&png(1)).await;
    assert_eq!((second.origin, new.calls()), (RenditionOrigin::Called(MissReason::Miss), 1));
    assert_ne!(second.digest, first.digest);
}

#[tokio::test]
async fn another_quality_makes_a_new_jpeg_and_the_same_png() {
    let [fake] = fakes(["a"]);
    let setup = Setup::new(std::slice::from_ref(&fake));
    let jpeg = in_format(OutputFormat::Jpeg, request(&png(1)));
    setup.colorize(jpeg.clone()).await.unwrap();
    setup.color(&png(1)).await;
    let setup =
        Setup::at(setup.folder, std::slice::from_ref(&fake), |config| config.output.jpeg_quality = 40);
    assert_eq!(setup.colorize(jpeg).await.unwrap().origin, RenditionOrigin::Merged(Tier::Disk));
    assert_eq!(setup.color(&png(1)).await.origin, RenditionOrigin::Cached(Tier::Disk));
    assert_eq!(fake.calls(), 1);
}

#[tokio::test]
async fn a_lower_providers_hit_counts_only_while_no_higher_one_can_be_used() {
    let [high, low] = fakes(["high", "low"]);
    let setup = Setup::new(&[high.clone(), low.clone()]);
    high.ready.store(false, Ordering::SeqCst);
    assert_eq!(setup.color(&png(1)).await.provider, "low");
    let hit = setup.color(&png(1)).await;
    assert_eq!((hit.provider.as_str(), hit.origin), ("low", RenditionOrigin::Cached(Tier::Memory)));
    assert_eq!(hit.attempts.len(), 1, "the skipped provider is reported");

    high.ready.store(true, Ordering::SeqCst);
    let better = setup.color(&png(1)).await;
    assert_eq!(
        (better.provider.as_str(), better.origin),
        ("high", RenditionOrigin::Called(MissReason::Miss))
    );
    high.ready.store(false, Ordering::SeqCst);
    let kept = setup.color(&png(1)).await;
    assert_eq!((kept.provider.as_str(), kept.attempts.len()), ("high", 0), "cached results need no provider");
    assert_eq!((high.calls(), low.calls()), (1, 1));
}

#[tokio::test]
async fn a_lower_providers_hit_counts_while_the_higher_one_is_over_budget() {
    let [high, low] = fakes(["high", "low"]);
    let setup = Setup::with(&[high.clone(), low.clone()], |config| {
        cost(config, "high");
        config.budgets = [budget(BudgetScope::Client, 2_000_000)].into();
    });
    let by = async |client: u8, seed: u8| {
        let request = ColorizeRequest { client: client_at(client), ..request(&png(seed)) };
        setup.colorize(request).await.unwrap()
    };
    assert_eq!(by(1, 1).await.provider, "high");
    let made = by(1, 2).await;
    assert_eq!((made.provider.as_str(), made.origin), ("low", RenditionOrigin::Called(MissReason::Miss)));

    let hit = by(1, 2).await;
    assert_eq!((hit.provider.as_str(), hit.origin), ("low", RenditionOrigin::Cached(Tier::Memory)));
    assert!(hit.degraded(), "{:?}", hit.attempts);
    // 0.5 credits were left. `low` charged 1.5, although its price is 0, and the client's budget includes that.
    assert_eq!(hit.attempts[0].budget.as_ref().unwrap().left.micro(), 0);
    let fingerprint = Upload::new(png(2).into()).fingerprint;
    let best = async |client: u8| {
        let client = client_at(client);
        setup
            .gateway
            .lookup_rendition(
                setup.gateway.snapshot(),
                fingerprint,
                None,
                RenditionOptions::default(),
                &client,
            )
            .await
            .unwrap()
    };
    assert_eq!(best(1).await.unwrap().provider, "low");
    assert_eq!(by(1, 1).await.provider, "high", "cached results need no budget");
    assert_eq!((high.calls(), low.calls()), (1, 1));

    assert!(best(2).await.is_none(), "another client has a budget of its own");
    assert_eq!(by(2, 2).await.provider, "high");
}

#[tokio::test]
async fn a_lower_providers_hit_counts_while_the_ledger_cannot_be_used() {
    let [high, low] = fakes(["high", "low"]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("state"), "no folder").unwrap();
    let setup = Setup::at(folder, &[high.clone(), low.clone()], |config| cost(config, "high"));
    assert_eq!(setup.color(&png(1)).await.provider, "low");
    let hit = setup.color(&png(1)).await;
    assert_eq!((hit.provider.as_str(), hit.origin), ("low", RenditionOrigin::Cached(Tier::Memory)));
    assert!(hit.degraded());
    assert_eq!((high.calls(), low.calls()), (0, 1));
}

#[tokio::test]
async fn when_a_higher_provider_fails_a_lower_providers_cached_color_is_used() {
    let [high, low] = fakes(["high", "low"]);
    let setup = Setup::new(&[high.clone(), low.clone()]);
    let named = ColorizeRequest { provider: Some("low".to_owned()), ..request(&png(1)) };
    setup.colorize(named).await.unwrap();
    *high.then.lock().unwrap() = FakeOutcome::Fails;
    let answer = setup.color(&png(1)).await;
    assert_eq!((answer.provider.as_str(), answer.origin), ("low", RenditionOrigin::Merged(Tier::Memory)));
    assert_eq!((high.calls(), low.calls(), answer.attempts.len()), (1, 1, 1));
}

#[tokio::test]
async fn without_luma_lock_a_providers_own_pixels_are_cached_by_fingerprint() {
    let fake = Arc::new(FakeProvider::new("a", 30.0).about(|about| about.luma_lock = false));
    let setup = Setup::new(std::slice::from_ref(&fake));
    let first = setup.color(&png(1)).await;
    let jpeg = in_format(OutputFormat::Jpeg, request(&png(1)));
    assert_eq!(setup.colorize(jpeg).await.unwrap().origin, RenditionOrigin::Merged(Tier::Memory));
    assert_eq!(setup.color(&png(1)).await.origin, RenditionOrigin::Cached(Tier::Memory));
    assert_eq!(fake.calls(), 1);
    let other_file = setup.color(&file(image::ImageFormat::Bmp, 1)).await;
    assert_eq!((other_file.origin, fake.calls()), (RenditionOrigin::Called(MissReason::Miss), 2));
    assert_eq!(other_file.bytes, first.bytes);
}

#[tokio::test]
async fn a_result_that_the_guard_refuses_is_not_stored() {
    let fake = Arc::new(FakeProvider::new("a", 30.0).then(FakeOutcome::Gray));
    let setup = Setup::new(std::slice::from_ref(&fake));
    assert!(matches!(setup.colorize(request(&png(1))).await, Err(Error::NoProvider { .. })));
    assert_eq!(setup.stored().await, 0);
    *fake.then.lock().unwrap() = FakeOutcome::Colors;
    assert_eq!(setup.color(&png(1)).await.origin, RenditionOrigin::Called(MissReason::Miss));
}

#[tokio::test]
async fn opacity_is_part_of_the_chroma_key() {
    let [fake] = fakes(["a"]);
    let setup = Setup::new(std::slice::from_ref(&fake));
    let picture = |alpha: u8| {
        let picture = image::GrayAlphaImage::from_pixel(8, 8, image::LumaA([90, alpha]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        bytes.into_inner()
    };
    setup.color(&picture(255)).await;
    assert_eq!(setup.color(&picture(100)).await.origin, RenditionOrigin::Called(MissReason::Miss));
}

#[tokio::test]
async fn clients_share_results_unless_sharing_is_off() {
    let client = |key: Option<&str>, address: &str| Client {
        key: key.map(|key| ClientKey(key.to_owned())),
        address: Some(address.parse().unwrap()),
    };
    let clients = [
        client(Some("one"), "192.0.2.1"),
        client(Some("two"), "192.0.2.1"),
        client(None, "192.0.2.1"),
        client(None, "192.0.2.2"),
        client(None, "2001:db8::1"),
        client(None, "2001:db8:0:1::1"),
    ];
    for (share, calls) in [(CacheSharing::All, 1), (CacheSharing::Client, clients.len())] {
        let [fake] = fakes(["a"]);
        let setup = Setup::with(std::slice::from_ref(&fake), |config| config.cache.share = share);
        for client in clients.iter().chain(&clients) {
            let request = ColorizeRequest { client: client.clone(), ..request(&png(1)) };
            let rendition = setup.colorize(request).await.unwrap();
            let found = setup.gateway.lookup_image(&setup.gateway.snapshot(), rendition.digest, client).await;
            assert_eq!(found.unwrap().0, rendition.bytes);
        }
        assert_eq!(fake.calls(), calls, "{share:?}");
        let neighbor = client(None, "2001:db8::2");
        let request = ColorizeRequest { client: neighbor, ..request(&png(1)) };
        assert!(
            matches!(setup.colorize(request).await.unwrap().origin, RenditionOrigin::Cached(_)),
            "an IPv6 client is a /64"
        );
    }
}

#[tokio::test]
async fn a_lookup_by_fingerprint_returns_the_best_stored_rendition() {
    let [high, low] = fakes(["high", "low"]);
    let setup = Setup::new(&[high.clone(), low.clone()]);
    let no_client = Client { address: None, key: None };
    let jpeg_file = file(image::ImageFormat::Jpeg, 1);
    let fingerprint = Upload::new(jpeg_file.clone().into()).fingerprint;
    let best = async |provider: Option<&str>, format: Option<OutputFormat>| {
        let options = RenditionOptions { format, ..RenditionOptions::default() };
        let found = setup
            .gateway
            .lookup_rendition(setup.gateway.snapshot(), fingerprint, provider, options, &no_client)
            .await;
        found.unwrap().map(|found| (found.provider, found.format))
    };
    let found = |provider: &str, format| Some((provider.to_owned(), format));
    assert_eq!(best(None, None).await, None);

    setup.colorize(in_format(OutputFormat::Png, request(&jpeg_file))).await.unwrap();
    assert_eq!(best(None, None).await, found("high", OutputFormat::Png), "better than nothing");
    assert_eq!(best(None, Some(OutputFormat::Jpeg)).await, None);
    setup.color(&jpeg_file).await;
    assert_eq!(best(None, None).await, found("high", OutputFormat::Jpeg), "the upload's own format");
    assert_eq!(best(None, Some(OutputFormat::Png)).await, found("high", OutputFormat::Png));
    assert_eq!(best(Some("low"), None).await, None);
    setup
        .colorize(ColorizeRequest { provider: Some("low".to_owned()), ..request(&jpeg_file) })
        .await
        .unwrap();
    assert_eq!(best(Some("low"), None).await, found("low", OutputFormat::Jpeg));
    assert_eq!(best(None, None).await, found("high", OutputFormat::Jpeg));
    let unknown = setup
        .gateway
        .lookup_rendition(
            setup.gateway.snapshot(),
            fingerprint,
            Some("x"),
            RenditionOptions::default(),
            &no_client,
        )
        .await;
    assert!(matches!(unknown, Err(Error::UnknownProvider { .. })));
}

#[tokio::test]
async fn forgetting_an_upload_deletes_all_of_it_and_nothing_else() {
    let [fake] = fakes(["a"]);
    let setup = Setup::new(std::slice::from_ref(&fake));
    setup.color(&png(1)).await;
    setup.colorize(in_format(OutputFormat::Jpeg, request(&png(1)))).await.unwrap();
    setup.color(&png(2)).await;
    assert_eq!(setup.stored().await, 5 + 3);
    let fingerprint = Upload::new(png(1).into()).fingerprint;
    let cache = setup.gateway.cache();
    let gone = forget(cache, fingerprint, None).await.unwrap();
    assert_eq!(gone, DeletedEntries { values: 5, pixels_known: true });
    let gone = forget(cache, fingerprint, None).await.unwrap();
    assert_eq!(gone, DeletedEntries { values: 0, pixels_known: false });
    assert_eq!(setup.stored().await, 3);
    assert_eq!(setup.color(&png(1)).await.origin, RenditionOrigin::Called(MissReason::Miss));
    assert_eq!(setup.color(&png(2)).await.origin, RenditionOrigin::Cached(Tier::Memory));
}
