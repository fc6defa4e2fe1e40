//! `--max-credits`: no call begins if the calls of this run might then cost more than the limit.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::credit::Credits;

/// The credit of a run.
#[derive(Debug, Default)]
pub struct Spending {
    /// `None`: no limit.
    limit: Option<Credits>,
    amounts: Mutex<Amounts>,
    /// A reservation has ended.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Amounts {
    spent: Credits,
    /// The most that calls in progress may cost.
    reserved: Credits,
}

/// The right to spend up to an amount. Dropping it without [`Self::settle`] releases it.
pub struct Reserved<'a> {
    spending: &'a Spending,
    most: Credits,
    spent: Credits,
}

impl Spending {
    pub fn up_to(limit: Option<Credits>) -> Self {
        Self { limit, ..Self::default() }
    }

    pub const fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// Reserves `most`. If calls in progress may leave enough, waits for their end. `None`: the limit is reached.
    pub async fn reserve(&self, most: Credits) -> Option<Reserved<'_>> {
        loop {
            let ended = self.ended.notified();
            {
                let mut amounts = self.amounts.lock().unwrap_or_else(PoisonError::into_inner);
                let limit = self.limit.unwrap_or(Credits::MAX);
                if self.limit.is_none() || amounts.spent.plus(amounts.reserved).plus(most) <= limit {
                    amounts.reserved = amounts.reserved.plus(most);
                    return Some(Reserved { spending: self, most, spent: Credits::ZERO });
                }
                if amounts.reserved.is_zero() {
                    return None;
                }
            }
            ended.await;
        }
    }
}

impl Reserved<'_> {
    /// Ends the reservation with the real cost; `None` if it is unknown, which counts as the most.
    pub fn settle(mut self, cost: Option<Credits>) {
        self.spent = cost.unwrap_or(self.most);
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut amounts = self.spending.amounts.lock().unwrap_or_else(PoisonError::into_inner);
        amounts.reserved = amounts.reserved.minus(self.most);
        amounts.spent = amounts.spent.plus(self.spent);
        drop(amounts);
        self.spending.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn credits(amount: i64) -> Credits {
        Credits::from_micro(amount * 1_000_000)
    }

    #[tokio::test]
    async fn calls_begin_while_the_most_that_they_cost_stays_within_the_limit() {
        let spending = Spending::up_to(Some(credits(10)));
        let one = spending.reserve(credits(6)).await.unwrap();
        let two = spending.reserve(credits(4)).await.unwrap();
        one.settle(Some(credits(3)));
        let three = spending.reserve(credits(3)).await.unwrap();
        two.settle(None);
        three.settle(Some(credits(1)));
        // 3 + 4 + 1 are spent.
        assert!(spending.reserve(credits(3)).await.is_none());
        assert!(spending.reserve(credits(2)).await.is_some());
    }

    #[tokio::test]
    async fn a_call_waits_while_others_may_leave_enough() {
        let spending = Arc::new(Spending::up_to(Some(credits(10))));
        let first = spending.reserve(credits(8)).await.unwrap();
        let waiting = async { spending.reserve(credits(8)).await.is_some() };
        let end = async { first.settle(Some(credits(1))) };
        assert!(futures::join!(waiting, end).0);
        let first = spending.reserve(credits(8)).await.unwrap();
        let waiting = async { spending.reserve(credits(8)).await.is_some() };
        let end = async { first.settle(Some(credits(8))) };
        assert!(!futures::join!(waiting, end).0);
    }

    #[tokio::test]
    async fn without_a_limit_every_call_begins() {
        let spending = Spending::up_to(None);
        let one = spending.reserve(Credits::MAX).await.unwrap();
        let two = spending.reserve(Credits::MAX).await.unwrap();
        one.settle(None);
        two.settle(None);
        assert!(spending.reserve(Credits::MAX).await.is_some());
    }
}
