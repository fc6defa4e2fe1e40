use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn credits(text: &str) -> Credits {
    text.parse().unwrap()
}

fn pointer(text: &str) -> JsonPointer {
    JsonPointer::parse(text).unwrap()
}

fn term(per: PricedUnit, rate: &str) -> PriceTerm {
    PriceTerm { per, rate: Rate::parse(rate).unwrap(), round: Round::Exact, minimum: Credits::ZERO }
}

/// One credit per second, rounded up, at least one; and a royalty per call.
fn algorithmia(royalty: &str) -> Price {
    let duration =
        PricedUnit::Number { pointer: pointer("/metadata/duration"), most: QuantityBound::Timeout };
    let seconds = PriceTerm { round: Round::Up, minimum: credits("1"), ..term(duration, "1") };
    Price { terms: vec![seconds, term(PricedUnit::Call, royalty)], ..Price::FREE }
}

const CALL: CallFacts = CallFacts { sent_pixels: 500_000, timeout: Duration::from_secs(60) };

#[test]
fn algorithmia_charges_every_started_second_and_the_royalty() {
    for (duration, royalty, cost) in [
        (json!(0.0002), "0", "1"),
        (json!(0), "0.5", "1.5"),
        (json!(1), "0", "1"),
        (json!(17.489_276_079), "0", "18"),
        (json!("1.659112994"), "0.25", "2.25"),
    ] {
        let reply = json!({ "metadata": { "duration": duration } });
        let actual = algorithmia(royalty).actual(&CALL, Some(&reply));
        assert_eq!(actual, Ok(credits(cost)), "{duration} {royalty}");
    }
    assert_eq!(algorithmia("0.25").most(&CALL), credits("60.25"));
    assert_eq!(algorithmia("0.25").least(&CALL), credits("1.25"));
    let half = CallFacts { timeout: Duration::from_millis(500), ..CALL };
    assert_eq!(algorithmia("0").most(&half), credits("1"));
}

#[test]
fn a_missing_number_makes_the_cost_unknown_and_never_0() {
    let price = algorithmia("0");
    let missing = UnknownCost::Missing { pointer: "/metadata/duration".into() };
    let odd = UnknownCost::NotCountable { pointer: "/metadata/duration".into() };
    for (reply, why) in [
        (json!({}), &missing),
        (json!({ "metadata": {} }), &missing),
        (json!({ "metadata": { "duration": null } }), &missing),
        (json!([]), &missing),
        (json!({ "metadata": { "duration": -1 } }), &odd),
        (json!({ "metadata": { "duration": 1e300 } }), &odd),
        (json!({ "metadata": { "duration": "1 s" } }), &odd),
        (json!({ "metadata": { "duration": true } }), &odd),
        (json!({ "metadata": { "duration": [1] } }), &odd),
    ] {
        assert_eq!(price.actual(&CALL, Some(&reply)).as_ref(), Err(why), "{reply}");
    }
    let error = price.actual(&CALL, None).unwrap_err();
    assert_eq!(error.to_string(), "its reply has no JSON, and the price needs `/metadata/duration` in it");
}

#[test]
fn a_call_costs_the_sum_of_its_terms_and_at_least_the_minimum() {
    let tokens = PricedUnit::Number {
        pointer: pointer("/usage/total~1tokens"),
        most: QuantityBound::Units(Quantity::parse("4096").unwrap()),
    };
    let price = Price {
        terms: vec![
            term(PricedUnit::Call, "0.01"),
            term(PricedUnit::Megapixel, "0.02"),
            term(tokens, "0.0000025"),
        ],
        minimum: credits("0.025"),
        worth: None,
    };
    assert_eq!(price.most(&CALL), credits("0.03024"));
    let used = |tokens: u32| price.actual(&CALL, Some(&json!({ "usage": { "total/tokens": tokens } })));
    assert_eq!(used(0), Ok(credits("0.025")));
    assert_eq!(used(3000), Ok(credits("0.0275")));
    // A number above the configured limit counts in full, because the provider bills it.
    assert_eq!(used(1_000_000), Ok(credits("2.52")));
    assert!(!price.is_fixed() && !price.is_free());
}

#[test]
fn a_fixed_price_needs_no_reply() {
    let price = Price { terms: vec![term(PricedUnit::Megapixel, "1")], minimum: credits("0.1"), worth: None };
    assert!(price.is_fixed() && !price.is_free());
    assert_eq!(price.actual(&CALL, None), Ok(credits("0.5")));
    assert!(Price::FREE.is_free());
    assert_eq!(Price::FREE.most(&CALL), Credits::ZERO);
    assert!(!Price { minimum: credits("0.000001"), ..Price::FREE }.is_free());
}

#[test]
fn json_pointers_follow_rfc_6901() {
    for good in ["", "/", "/a", "/a/0/b", "/a~0b~1c", "//", "/é"] {
        assert!(JsonPointer::parse(good).is_some(), "{good}");
    }
    for bad in ["a", "a/b", "/a~", "/a~2", "/~~0", "#/a", "$.a", "~0"] {
        assert!(JsonPointer::parse(bad).is_none(), "{bad}");
    }
}

fn any_price() -> impl Strategy<Value = Price> {
    let rate = (0..1_000_000_u64, 0..1_000_000_000_000_u64)
        .prop_map(|(whole, part)| Rate::parse(&format!("{whole}.{part:012}")).unwrap());
    let per = prop_oneof![
        Just(PricedUnit::Call),
        Just(PricedUnit::Megapixel),
        Just(PricedUnit::Number { pointer: pointer("/seconds"), most: QuantityBound::Timeout }),
        (0.0..1e9_f64).prop_map(|most| PricedUnit::Number {
            pointer: pointer("/units"),
            most: QuantityBound::Units(Quantity::from_float(most).unwrap()),
        }),
    ];
    let round = prop_oneof![Just(Round::Exact), Just(Round::Up), Just(Round::Nearest), Just(Round::Down)];
    let minimum = || (0..1_000_000_000_000_i64).prop_map(Credits::from_micro);
    let term = (per, rate, round, minimum()).prop_map(|(per, rate, round, minimum)| PriceTerm {
        per,
        rate,
        round,
        minimum,
    });
    (vec(term, 0..16), minimum()).prop_map(|(terms, minimum)| Price { terms, minimum, worth: None })
}

proptest! {
    #[test]
    fn no_reply_within_its_bounds_costs_more_than_is_reserved(
        price in any_price(),
        sent_pixels in any::<u64>(),
        timeout in 0.0..4000.0_f64,
        share in 0.0..=1.0_f64,
    ) {
        let call = CallFacts { sent_pixels, timeout: Duration::from_secs_f64(timeout) };
        let units = price.terms.iter().filter_map(|term| match &term.per {
            PricedUnit::Number { most: QuantityBound::Units(most), .. } => Some(most.to_string().parse::<f64>().unwrap()),
            _ => None,
        });
        let units = units.fold(1e9_f64, f64::min);
        let reply = json!({ "seconds": call.timeout.as_secs_f64() * share, "units": units * share * 0.999_999 });
        let actual = price.actual(&call, Some(&reply)).unwrap();
        prop_assert!(actual <= price.most(&call), "{actual} > {}", price.most(&call));
        prop_assert!(actual >= price.minimum);
    }

    #[test]
    fn no_reply_causes_a_panic_or_a_cost_below_the_minimum(price in any_price(), text in "\\PC*", float in any::<f64>()) {
        for value in [json!(text), json!(float), json!([float]), json!({ "seconds": text, "units": float })] {
            if let Ok(cost) = price.actual(&CALL, Some(&value)) {
                prop_assert!(cost >= price.minimum);
            }
        }
    }

    #[test]
    fn no_text_makes_pointer_parsing_panic(text in "\\PC*|[/~01a]{0,12}") {
        if let Some(pointer) = JsonPointer::parse(&text) {
            let _ = json!({}).pointer(&pointer.to_string());
        }
    }
}

#[test]
fn sending_a_smaller_image_saves_the_price_of_its_megapixels() {
    let by_size = |minimum: &str, more: Vec<PriceTerm>| {
        let terms = [vec![term(PricedUnit::Megapixel, "4"), term(PricedUnit::Call, "0.5")], more].concat();
        Price { terms, minimum: credits(minimum), ..Price::FREE }
    };
    let tokens = term(PricedUnit::Number { pointer: pointer("/tokens"), most: QuantityBound::Timeout }, "1");
    for (price, charged, saved) in [
        // 0.5 instead of 12 megapixels cost 2 instead of 48; the price per call is the same.
        (by_size("0", vec![]), "2.5", "46"),
        (by_size("0", vec![tokens.clone()]), "9.5", "46"),
        // 2.5 is below the minimum, so 10 were charged; the full size would have cost 48.5.
        (by_size("10", vec![]), "10", "38.5"),
        (by_size("100", vec![]), "100", "0"),
        // The share of the tokens in the minimum is unknown, so it counts as 0.
        (by_size("10", vec![tokens]), "10", "38.5"),
        (algorithmia("1"), "3", "0"),
        (Price::FREE, "0", "0"),
    ] {
        assert_eq!(price.saved_by_size(credits(charged), 500_000, 12_000_000), credits(saved), "{price:?}");
        assert_eq!(price.saved_by_size(credits(charged), 500_000, 500_000), Credits::ZERO, "{price:?}");
    }
}
