//! All replicas share one budget.

use crate::common::{post_all, small, three};
use crate::fakes::algorithmia::Algorithmia;
use crate::redis::Redis;

#[test]
fn three_concurrent_replicas_never_exceed_a_budget_and_report_the_same_amounts() {
    const BUDGET: &str = "[budgets.small]\nscope = \"all\"\ncredits = 40\n";
    let (redis, fake) = (Redis::start(), Algorithmia::start());
    let servers = three(&redis, &fake, BUDGET);
    let url = |seed: u32| servers[seed as usize % 3].url("/v1/colorize");
    let answers = post_all((0..60).map(|seed| (url(seed), small(seed))));
    let colored = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(colored, fake.calls());
    // A call costs 2 credits and must be able to reserve 5.
    assert!((8..=18).contains(&colored), "{colored}");
    // Sequential requests spend what is left of the budget.
    let more = (100..120).map(|seed| servers[seed as usize % 3].colorize(&small(seed)).status);
    let colored = colored + more.filter(|status| *status == 200).count();
    assert_eq!((colored, fake.calls()), (18, 18));
    for server in &servers {
        assert_eq!(server.metric("pixcolor_budget_spent_credits{budget=\"small\"}"), 36.0);
        assert_eq!(server.metric("pixcolor_budget_remaining_credits{budget=\"small\"}"), 4.0);
        let usage = server.get("/v1/usage").json();
        assert_eq!(
            (&usage["lines"][0]["provider"], &usage["lines"][0]["calls"]),
            (&"algorithmia".into(), &18.into())
        );
    }
    let table = servers[1].command(&["usage", "--csv"]);
    assert!(table.lines().any(|line| line.starts_with("algorithmia,18,")), "{table}");
}
