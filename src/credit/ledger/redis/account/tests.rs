use super::*;
use crate::credit::{BudgetScope, Budgets, Window};
use crate::shared::RedisOptions;

#[path = "../../../../../tests/servers/redis.rs"]
mod redis;

#[tokio::test]
async fn a_replica_with_a_wrong_clock_counts_on_the_day_of_redis() {
    let redis = redis::Redis::start();
    let options = RedisOptions {
        address: redis.url().parse().unwrap(),
        password: None,
        prefix: "clock".to_owned(),
        timeout: std::time::Duration::from_secs(2),
    };
    let account = RedisAccount::new(SharedRedis::new(options, Arc::new(())), None, None);
    let (scope, window, limit) = (BudgetScope::All, Window::Day, Credits::from_micro(10));
    let budgets: Budgets = [Budget { name: "day".to_owned(), scope, window, limit }].into();
    let wish = ReserveRequest {
        provider: "paid".to_owned(),
        client: None,
        most: Credits::from_micro(6),
        pixels: 1,
        sent_pixels: 1,
        budgets: budgets.clone(),
    };
    assert!(matches!(account.reserve(wish.clone()).await, Ok(Ok(_))));
    for wrong in [-3 * 86_400, 40 * 86_400] {
        account.ahead.store(wrong, Ordering::Relaxed);
        assert!(matches!(account.reserve(wish.clone()).await, Ok(Err(_))));
        assert!(account.ahead.load(Ordering::Relaxed).abs() < 5, "the clock was not corrected");
    }
    let (standings, _) = account.standing(&budgets, None).await.unwrap();
    assert_eq!(standings[0].reserved, Credits::from_micro(6));
}
