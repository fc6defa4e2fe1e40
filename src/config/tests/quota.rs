use super::Setup;
use crate::config::{ConfigSource, QuotaConfig, RequestAmounts, load};
use crate::quota::{ClientBucket, Gate, InProcess, Limit, LimitScope, Quota, RatePeriod, Unit};

fn limits(quota: &QuotaConfig) -> Vec<&str> {
    quota.limits.iter().map(|limit| limit.name()).collect()
}

#[track_caller]
fn limit<'q>(quota: &'q QuotaConfig, name: &str) -> &'q Limit {
    quota.limits.iter().find(|limit| limit.name() == name).unwrap()
}

/// Checks that `pixcolor.toml` with this text from line 2 on has exactly these problems.
#[track_caller]
fn refused(text: &str, said: &[&str]) {
    let problems = Setup::new().main(&format!("# words\n{text}\n")).problems();
    let said: Vec<String> = said.iter().map(|said| format!("config/pixcolor.toml:{said}")).collect();
    assert_eq!(problems, said);
}

#[test]
fn sensible_limits_are_on_by_default() {
    let quota = load(&ConfigSource::default()).unwrap().config.quota;
    assert!(quota.enabled);
    assert_eq!(
        limits(&quota),
        ["requests", "bytes", "pictures", "megapixels", "key-requests", "key-pictures"]
    );
    let pictures = limit(&quota, "pictures");
    assert_eq!((pictures.by(), pictures.of(), pictures.burst()), (LimitScope::Client, Unit::Pictures, 600));
}

#[tokio::test]
async fn a_household_with_a_hundred_large_photographs_at_once_is_within_the_default_limits() {
    let config = load(&ConfigSource::default()).unwrap().config;
    let household = ClientBucket::network("192.0.2.1".parse().unwrap(), 64);
    let largest = RequestAmounts { bytes: config.limits.upload_bytes, pixels: config.limits.pixels };
    let rates = InProcess::new();
    for photograph in 0..100 {
        for gate in [Gate::Admit, Gate::Spend] {
            let decided = rates.check(&config.quota.charges(gate, Some(&household), largest)).await;
            assert_eq!(decided, Ok(()), "{photograph}");
        }
    }
}

#[test]
fn a_limit_is_changed_key_by_key_turned_off_or_added() {
    let setup = Setup::new()
        .main(
            "[quota.limits.pictures]\nrate = 5\nper = \"hour\"\n\
             [quota.limits.megapixels]\nenabled = false\n\
             [quota.limits.everybody]\nof = \"pictures\"\nby = \"all\"\nrate = 1000\nper = \"day\"\nburst = 50\n",
        )
        .env("PIXCOLOR_QUOTA__LIMITS__KEY_REQUESTS__RATE", "7")
        .env("PIXCOLOR_QUOTA__LIMITS__BYTES__RATE", "1 MiB");
    let quota = setup.load().config.quota;
    assert_eq!(
        limits(&quota),
        ["requests", "bytes", "pictures", "key-requests", "key-pictures", "everybody"]
    );
    let pictures = limit(&quota, "pictures");
    assert_eq!((pictures.rate(), pictures.per(), pictures.burst()), (5, RatePeriod::Hour, 5));
    let everybody = limit(&quota, "everybody");
    assert_eq!((everybody.by(), everybody.rate(), everybody.burst()), (LimitScope::All, 1000, 50));
    assert_eq!((limit(&quota, "key-requests").rate(), limit(&quota, "key-requests").burst()), (7, 7));
    // One upload must fit.
    assert_eq!((limit(&quota, "bytes").rate(), limit(&quota, "bytes").burst()), (1 << 20, 20 << 20));
    assert!(setup.load().warnings.is_empty(), "{:?}", setup.load().warnings);
}

#[test]
fn what_a_request_is_charged_depends_on_the_client_and_the_gate() {
    let config =
        Setup::new().main("[quota.limits.all]\nof = \"bytes\"\nby = \"all\"\nrate = \"1 GiB\"").load().config;
    let network = ClientBucket::network("192.0.2.1".parse().unwrap(), 64);
    let key = ClientBucket::Key("bob".into());
    let amounts = RequestAmounts { bytes: 5, pixels: 7 };
    let charged = |gate, client: Option<&ClientBucket>| -> Vec<(String, String, u64)> {
        let charges = config.quota.charges(gate, client, amounts);
        charges.into_iter().map(|c| (c.limit.name().to_owned(), c.bucket.to_string(), c.amount)).collect()
    };
    let is = |limit: &str, bucket: &str, amount| (limit.to_owned(), bucket.to_owned(), amount);
    assert_eq!(
        charged(Gate::Admit, Some(&network)),
        [is("requests", "ip:192.0.2.1", 1), is("bytes", "ip:192.0.2.1", 5), is("all", "all", 5)]
    );
    assert_eq!(
        charged(Gate::Spend, Some(&network)),
        [is("pictures", "ip:192.0.2.1", 1), is("megapixels", "ip:192.0.2.1", 7)]
    );
    assert_eq!(charged(Gate::Admit, Some(&key)), [is("key-requests", "key:bob", 1), is("all", "all", 5)]);
    assert_eq!(charged(Gate::Spend, Some(&key)), [is("key-pictures", "key:bob", 1)]);
    assert_eq!(charged(Gate::Admit, None), []);
    let off = Setup::new().main("quota.enabled = false").load().config.quota;
    assert_eq!(off.charges(Gate::Admit, Some(&network), amounts), []);
}

#[test]
fn rates_that_refuse_everything_and_invalid_limits_are_refused() {
    refused(
        "quota.limits.pictures.rate = 0",
        &["2: `quota.limits.pictures.rate` must be a whole number from 1 to 1000000000, not 0"],
    );
    refused(
        "quota.limits.bytes.burst = 0",
        &["2: `quota.limits.bytes.burst` must be a size such as \"20 MiB\", from 1KiB to 1TiB, not 0"],
    );
    refused(
        "quota.limits.bytes.burst = \"1 MiB\"",
        &[
            "2: `quota.limits.bytes.burst` must not be below `limits.upload_bytes`: the largest photo would never pass",
        ],
    );
    refused(
        "quota.limits.megapixels.burst = 49",
        &[
            "2: `quota.limits.megapixels.burst` must not be below `limits.pixels`: the largest photo would never pass",
        ],
    );
    refused(
        "[quota.limits.pictures]\nrate = 1\nper = \"day\"\nburst = 400",
        &[
            "5: `quota.limits.pictures.burst`: after the burst is used up, it would take more than a year until all of it is available again",
        ],
    );
    refused(
        "[quota.limits.requests]\nrate = 1_000_000_000\nper = \"second\"",
        &[
            "3: `quota.limits.requests.rate`: more than 1000000 requests, KiB or hundredths of a megapixel a second \
           cannot be counted",
        ],
    );
    refused(
        "[quota.limits.mine]\nrate = 5",
        &["2: `quota.limits.mine` has no `of`: it must be \"requests\" or \"bytes\" or \"pictures\" or \
           \"megapixels\""],
    );
    refused(
        "[quota.limits.picture]\nrate = 5",
        &[
            "2: `quota.limits.picture` has no `of`: did you mean `pictures`? Or it must be \"requests\" or \"bytes\" or \
             \"pictures\" or \"megapixels\"",
        ],
    );
    refused(
        "[quota.limits.pictures]\nper = \"mnute\"",
        &["3: `quota.limits.pictures.per` must be \"minute\", not \"mnute\""],
    );
    refused(
        "[quota.limits.mine]\nof = \"pictures\"",
        &["2: `quota.limits.mine` has no `rate`: it must be a whole number from 1 to 1000000000"],
    );
    refused(
        "[quota.limits.pictures]\nper = \"minutes\"",
        &["3: `quota.limits.pictures.per` must be \"minute\", not \"minutes\""],
    );
    refused(
        "[quota.limits.Mine]\nof = \"pictures\"\nrate = 1",
        &[
            "2: a limit cannot be named \"Mine\": a name is 1 to 64 of a-z, 0-9, `-` and single `_`, and begins with a \
           letter or a digit",
        ],
    );
    refused(
        "[quota.limits.pictures]\nrates = 1",
        &["3: unknown key `quota.limits.pictures.rates`: did you mean `quota.limits.pictures.rate`?"],
    );
    refused("[quota]\nlimits = 5", &["3: `quota.limits` must be a table, such as `[quota.limits]`, not 5"]);
    refused(
        "limits.upload_memory = \"1 MiB\"",
        &[
            "2: `limits.upload_memory` must not be below `limits.upload_bytes`: the largest photo would never be admitted",
        ],
    );
}

#[test]
fn lists_hold_addresses_and_ranges_and_mapped_ones_are_ipv4() {
    let setup = Setup::new().main(
        "allow = [\"10.0.0.0/8\", \"2001:db8::1\"]\ndeny = [\"::ffff:10.1.0.0/112\"]\nanonymous = false",
    );
    let clients = setup.load().config.clients;
    assert!(!clients.anonymous);
    let shown = |nets: &[ipnet::IpNet]| nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(shown(&clients.allow), "10.0.0.0/8 2001:db8::1/128");
    assert_eq!(shown(&clients.deny), "10.1.0.0/16");
    refused(
        "deny = [\n  \"10.0.0.0/33\",\n]",
        &[
            "3: `deny`: \"10.0.0.0/33\" is not an address or a range of addresses (CIDR) such as \"10.0.0.0/8\"",
        ],
    );
}

#[test]
fn a_key_has_limits_of_its_own_in_place_of_those_by_key() {
    let setup = Setup::new().main(
        "[quota.limits.key-pictures]\nenabled = false\n[keys.bob.limits.key-requests]\nrate = 2\n\
         [keys.bob.limits.key-pictures]\nrate = 5\nper = \"day\"\n\
         [keys.bob.limits.bytes-of-bob]\nof = \"bytes\"\nrate = \"1 GiB\"\n\
         [keys.\"Ann@example.org\".limits.key-requests]\nenabled = false\n",
    );
    let config = setup.load().config;
    assert_eq!(config.keys.names, ["Ann@example.org", "bob"]);
    let limits = |key: &str| {
        let key = ClientBucket::Key(key.to_owned());
        let charges = [Gate::Admit, Gate::Spend]
            .map(|gate| config.quota.charges(gate, Some(&key), RequestAmounts::default()));
        let limits = charges.concat().into_iter().map(|charge| charge.limit);
        limits.map(|limit| (limit.name().to_owned(), limit.rate(), limit.per())).collect::<Vec<_>>()
    };
    let limit = |name: &str, rate, per| (name.to_owned(), rate, per);
    assert_eq!(limits("Ann@example.org"), []);
    assert_eq!(limits("carl"), [limit("key-requests", 30_000, RatePeriod::Minute)]);
    let bobs = [
        limit("key-requests", 2, RatePeriod::Minute),
        limit("bytes-of-bob", 1 << 30, RatePeriod::Minute),
        limit("key-pictures", 5, RatePeriod::Day),
    ];
    assert!(
        limits("bob").len() == 3 && bobs.iter().all(|limit| limits("bob").contains(limit)),
        "{:?}",
        limits("bob")
    );
}

#[test]
fn a_key_that_counts_something_else_has_no_rate_by_default() {
    refused(
        "[keys.bob.limits.key-requests]\nof = \"bytes\"",
        &[
            "2: `keys.bob.limits.key-requests` has no `rate`: it must be a size such as \"20 MiB\", from 1KiB to 1TiB",
        ],
    );
}

#[test]
fn a_problem_with_a_default_has_the_line_of_the_table_that_causes_it() {
    refused(
        "[quota.limits.bytes]\nper = \"second\"",
        &[
            "2: `quota.limits.bytes.rate`: more than 1000000 requests, KiB or hundredths of a megapixel a second cannot be \
             counted",
        ],
    );
    refused(
        "[keys.bob.limits.requests]",
        &[
            "2: `keys.bob.limits.requests`: the limit `requests` is by client. Those by key are key-requests, \
             key-pictures; another name adds one",
        ],
    );
    // An invalid value is reported where it is set and not for each key that would have it by default.
    refused(
        "quota.limits.mine = { of = \"pictures\", by = \"key\", rate = \"x\" }\nkeys.bob.limits.mine.burst = 5",
        &["2: `quota.limits.mine.rate` must be a whole number from 1 to 1000000000, not \"x\""],
    );
    refused(
        "limits.pixels = 10_000_000_000_000",
        &["2: `limits.pixels` must be a whole number from 1 to 1000000000, not 10000000000000"],
    );
}

#[test]
fn invalid_limits_of_a_key_are_refused_with_their_line() {
    refused(
        "[keys.bob.limits.pictures]\nrate = 1",
        &[
            "2: `keys.bob.limits.pictures`: the limit `pictures` is by client. Those by key are key-requests, \
           key-pictures; another name adds one",
        ],
    );
    refused(
        "[keys.bob.limits.key-request]\nrate = 1",
        &[
            "2: `keys.bob.limits.key-request` has no `of`: did you mean `key-requests`? Or it must be \"requests\" or \
             \"bytes\" or \"pictures\" or \"megapixels\"",
        ],
    );
    refused(
        "[keys.bob.limits.key-requests]\nby = \"all\"",
        &["3: `keys.bob.limits.key-requests.by` must be \"key\", not \"all\""],
    );
    refused("[keys.bob]\nlimit = 1", &["3: unknown key `keys.bob.limit`: did you mean `keys.bob.limits`?"]);
    refused("[keys.\"b b\"]", &["2: `keys.\"b b\"`: no key can be named \"b b\""]);
}
