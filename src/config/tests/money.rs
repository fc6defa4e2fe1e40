use super::Setup;
use crate::credit::price::CallFacts;
use crate::credit::{Budget, BudgetScope, Price, Window};

/// A provider `paid` with this price, from line 3 on.
fn priced(price: &str) -> Setup {
    Setup::new().file("config/providers/paid.toml", format!("kind = \"onnx\"\n[price]\n{price}\n"))
}

fn price(text: &str) -> Price {
    priced(text).load().config.providers["paid"].price.clone()
}

#[track_caller]
fn refused(text: &str, said: &[&str]) {
    let said: Vec<String> = said.iter().map(|said| format!("config/providers/paid.toml:{said}")).collect();
    assert_eq!(priced(text).problems(), said);
}

#[track_caller]
fn main_refused(text: &str, said: &str) {
    assert_eq!(Setup::new().main(text).problems(), [format!("config/pixcolor.toml:{said}")]);
}

#[test]
fn a_price_is_read_to_the_last_decimal_and_shown_as_it_is_written() {
    let text = "minimum = 0.000001\nworth = 0.0001\ncurrency = \"USD\"\n\
                terms = [{ per = \"call\", rate = 0.25 }, { per = \"megapixel\", rate = 3, round = \"up\" }]";
    let setup = priced(text);
    let price = &setup.load().config.providers["paid"].price;
    assert_eq!(price.minimum.micro(), 1);
    assert_eq!(price.worth.map(|worth| worth.to_string()).as_deref(), Some("0.0001 USD"));
    let call = CallFacts { sent_pixels: 1_000_001, timeout: std::time::Duration::from_secs(60) };
    assert_eq!(price.most(&call).to_string(), "6.25");
    let report = setup.load().report();
    let folder = setup.path("");
    let line = format!(
        "providers.paid.price.terms = [{{ per = \"call\", rate = 0.25 }}, {{ per = \"megapixel\", rate = 3, round = \
         \"up\" }}]  # {}config/providers/paid.toml:6\n",
        folder.display()
    );
    assert!(report.contains(&line), "{report}");
    assert_eq!(setup.from("providers.paid.price.terms"), "config/providers/paid.toml:6");
}

#[test]
fn both_ways_to_write_a_list_of_tables_are_the_same() {
    let inline = "terms = [{ per = \"megapixel\", rate = 1, round = \"up\", minimum = 1 }]";
    let headed = "[[price.terms]]\nper = \"megapixel\"\nrate = 1\nround = \"up\"\nminimum = 1.0";
    assert_eq!(price(inline), price(headed));
    let variable = Setup::new()
        .file("config/providers/paid.toml", "kind = \"onnx\"")
        .env("PIXCOLOR_PROVIDERS__PAID__PRICE__TERMS", inline.strip_prefix("terms = ").unwrap());
    assert_eq!(variable.load().config.providers["paid"].price, price(inline));
    refused(
        &format!("{headed}\nfor = 1"),
        &["8: unknown key `providers.paid.price.terms.0.for`: the keys here are per, rate, round, minimum"],
    );
}

#[test]
fn a_call_is_free_by_default() {
    let setup = Setup::new();
    assert_eq!(setup.load().config.providers["local"].price, Price::FREE);
    assert!(price("terms = []").is_free());
    assert!(setup.load().report().contains("providers.local.price.terms = []  # default\n"));
}

#[test]
fn prices_that_are_negative_or_absurd_are_refused_with_their_line() {
    let rate = "a number from 0 to 1000000 with at most 12 decimals";
    let per_call = |rate: &str| format!("terms = [\n  {{ per = \"call\", rate = {rate} }},\n]");
    let wrong = |what: &str| format!("4: `providers.paid.price.terms.0.rate` must be {rate}, not {what}");
    for (written, shown) in [
        ("-1", "-1"),
        ("1000001", "1000001"),
        ("nan", "NaN"),
        ("inf", "inf"),
        ("\"1\"", "\"1\""),
        ("1e-13", "1e-13"),
    ] {
        refused(&per_call(written), &[&wrong(shown)]);
    }
    refused(
        "minimum = -0.5",
        &[
            "3: `providers.paid.price.minimum` must be a number of credits from 0 to 1000000 with at most 6 decimals, \
           not -0.5",
        ],
    );
    refused(
        "minimum = 0.0000001",
        &[
            "3: `providers.paid.price.minimum` must be a number of credits from 0 to 1000000 with at most 6 decimals, \
           not 1e-7",
        ],
    );
    refused("worth = 1", &["3: `providers.paid.price.worth` needs `currency`: an amount and its currency"]);
    refused(
        "worth = -1",
        &[
            &format!("3: `providers.paid.price.worth` must be {rate}, not -1"),
            "3: `providers.paid.price.worth` needs `currency`: an amount and its currency",
        ],
    );
    refused(
        "worth = 1\ncurrency = \"dollars\"",
        &[
            "4: `providers.paid.price.currency` must be three capital letters (ISO 4217) such as \"USD\", not \"dollars\"",
        ],
    );
    let many = vec!["{ per = \"call\", rate = 1 }"; 17].join(", ");
    refused(&format!("terms = [{many}]"), &["3: a price has at most 16 terms"]);
}

#[test]
fn an_incomplete_term_is_refused_with_the_missing_key() {
    let pointer = "it must be a JSON pointer (RFC 6901) such as \"/metadata/duration\"";
    let rate = "it must be a number from 0 to 1000000 with at most 12 decimals";
    refused(
        "terms = 5",
        &["3: `providers.paid.price.terms` must be a list of tables such as [{ ... }], not 5"],
    );
    refused("terms = [5]", &["3: `providers.paid.price.terms.0` must be a table such as { ... }, not 5"]);
    refused(
        "terms = [{ rate = 1 }]",
        &[
            "3: `providers.paid.price.terms.0` has no `per`: it must be \"call\" or \"megapixel\" or \"second\" or \"unit\"",
        ],
    );
    refused(
        "terms = [{ per = \"call\" }]",
        &[&format!("3: `providers.paid.price.terms.0` has no `rate`: {rate}")],
    );
    refused(
        "terms = [{ per = \"second\", rate = 1 }]",
        &[&format!("3: `providers.paid.price.terms.0` has no `pointer`: {pointer}")],
    );
    refused(
        "terms = [{ per = \"unit\", rate = 1, pointer = \"tokens\" }]",
        &[
            &format!(
                "3: `providers.paid.price.terms.0.pointer` {}, not \"tokens\"",
                pointer.strip_prefix("it ").unwrap()
            ),
            "3: `providers.paid.price.terms.0` has no `most`: it must be a number above 0 and at most 1000000000",
        ],
    );
    refused(
        "terms = [{ per = \"call\", rate = 1, round = \"up\" }]",
        &["3: unknown key `providers.paid.price.terms.0.round`: the keys here are per, rate"],
    );
}

#[test]
fn budgets_are_read_in_order_of_their_names() {
    let setup = Setup::new().main(
        "[budgets.b]\ncredits = 0.5\n[budgets.a]\nscope = \"provider:local\"\nwindow = \"day\"\ncredits = 7\n\
         [budgets.c]\nscope = \"client\"\nwindow = \"total\"\ncredits = 1e12\n",
    );
    let budgets: Vec<Budget> = setup.load().config.budgets.to_vec();
    let shown: Vec<_> = budgets
        .iter()
        .map(|one| (one.name.as_str(), one.scope.to_string(), one.window, one.limit.to_string()))
        .collect();
    assert_eq!(
        shown,
        [
            ("a", "provider:local".into(), Window::Day, "7".into()),
            ("b", "all".into(), Window::Month, "0.5".into()),
            ("c", "client".into(), Window::Total, "1000000000000".into()),
        ]
    );
    assert_eq!(budgets[0].scope, BudgetScope::Provider("local".into()));
    assert_eq!(setup.load().warnings, Vec::<String>::new());
}

#[test]
fn a_key_has_budgets_of_its_own_in_place_of_those_for_each_client() {
    let setup = Setup::new().main(
        "[budgets.all]\ncredits = 100\n[budgets.each]\nscope = \"client\"\nwindow = \"day\"\ncredits = 5\n\
         [keys.bob.budgets.each]\ncredits = 50\n[keys.bob.budgets.in-all]\nwindow = \"total\"\ncredits = 70\n",
    );
    let config = setup.load().config;
    let shown = |account: Option<&str>| {
        let budgets = config.budgets_of(account).iter();
        budgets
            .map(|one| format!("{} {} {} {}", one.name, one.scope, one.window, one.limit))
            .collect::<Vec<_>>()
    };
    let usual = ["all all month 100", "each client day 5"];
    for account in [None, Some("key:ann"), Some("ip:192.0.2.1"), Some("bob")] {
        assert_eq!(shown(account), usual, "{account:?}");
    }
    assert_eq!(shown(Some("key:bob")), ["all all month 100", "each client day 50", "in-all client total 70"]);
    main_refused(
        "[budgets.all]\ncredits = 1\n[keys.bob.budgets.all]\ncredits = 1\n",
        "3: `keys.bob.budgets.all`: the budget `all` is not for each client, but for all. Another name adds one",
    );
    main_refused(
        "[budgets.each]\nscope = \"client\"\ncredits = 1\n[keys.bob.budgets.mine]\ncredits = 1\n",
        "4: `keys.bob.budgets.mine` and the budget `each` cap the same spending, month. Remove one of them",
    );
}

#[test]
fn invalid_budgets_are_refused_with_their_line() {
    let credits = "a number of credits from 0 to 1000000000000 with at most 6 decimals";
    main_refused("[budgets.a]\n", &format!("1: `budgets.a` has no `credits`: it must be {credits}"));
    main_refused("[budgets.a]\ncredits = -1\n", &format!("2: `budgets.a.credits` must be {credits}, not -1"));
    main_refused(
        "budgets.a = { credits = 1, window = \"week\" }",
        "1: `budgets.a.window` must be \"day\" or \"month\" or \"total\", not \"week\"",
    );
    main_refused(
        "budgets.a = { credits = 1, scope = \"everybody\" }",
        "1: `budgets.a.scope` must be \"all\", \"client\" or \"provider:NAME\", not \"everybody\"",
    );
    main_refused(
        "[budgets.a]\ncredits = 1\nscope = \"provider:locla\"\n",
        "3: there is no provider `locla`: did you mean `provider:local`?",
    );
    main_refused(
        "[budgets.a]\ncredits = 1\n[budgets.b]\ncredits = 2\n",
        "3: `budgets.b` and `budgets.a` cap the same spending: all, month. Remove one of them",
    );
    main_refused(
        "[budgets.\"A b\"]\ncredits = 1\n",
        "1: a budget cannot be named \"A b\": a name is 1 to 64 of a-z, 0-9, `-` and single `_`, and begins with a \
         letter or a digit",
    );
}

#[test]
fn ineffective_budgets_give_a_warning() {
    let euro = "kind = \"onnx\"\nprice = { worth = 1, currency = \"EUR\", terms = [{ per = \"call\", rate = 2 }] }\n";
    let setup = priced("terms = [{ per = \"call\", rate = 5 }]")
        .file("config/providers/euro.toml", euro)
        .main("[budgets.day]\nwindow = \"day\"\ncredits = 40\n[budgets.month]\ncredits = 4\n");
    assert_eq!(
        setup.load().warnings,
        [
            "`budgets.day` allows 40 credits each day, which is more than `budgets.month` allows: 4 each month",
            "`budgets.day` adds credits of different worth: 1 EUR for one of provider `euro`, unknown for one of `paid`",
            "`budgets.month` is 4 credits, and one call of provider `paid` may cost 5: it would never be called",
            "`budgets.month` adds credits of different worth: 1 EUR for one of provider `euro`, unknown for one of `paid`",
        ]
    );
}
