//! A reservation in somebody's hands, which cannot get lost: who drops it has called or not, and the
//! ledger is told either way.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use time::OffsetDateTime;

use super::{Credits, ReserveRequest};

/// What the ledger knows of a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservationRecord {
    /// Its number; 0 is a reservation of nothing.
    pub id: u64,
    /// When it was made, in UTC.
    pub at: OffsetDateTime,
    /// Who is to be called.
    pub provider: String,
    /// Who causes it.
    pub client: Option<String>,
    /// What is set aside.
    pub most: Credits,
    /// Pixels of the photograph.
    pub pixels: u64,
    /// Pixels of the picture that is to be sent.
    pub sent_pixels: u64,
}

impl ReservationRecord {
    /// The ticket of a wish that is granted.
    pub(super) fn new(id: u64, at: OffsetDateTime, wish: ReserveRequest) -> Self {
        let ReserveRequest { provider, client, most, pixels, sent_pixels, budgets: _ } = wish;
        Self { id, at: at.truncate_to_second(), provider, client, most, pixels, sent_pixels }
    }

    /// Whether the call is counted without its client where the day has `ANONYMOUS_CLIENTS_A_DAY` already.
    pub(super) fn is_free_and_anonymous(&self) -> bool {
        self.most.is_zero() && self.client.as_deref().is_some_and(is_anonymous)
    }
}

/// How many clients without a key the usage of one day names, for each provider together, before those that call only
/// what costs nothing are counted without their names: addresses are free to have, and must not fill the ledger.
pub const ANONYMOUS_CLIENTS_A_DAY: usize = 250;

/// Whether a client has no key. Keys are as many as the operator has made.
pub(super) fn is_anonymous(client: &str) -> bool {
    !client.starts_with("key:")
}

/// What a ledger does with a reservation that nobody settles. It must not wait.
pub(super) type ReservationReturn = Arc<dyn Fn(ReservationRecord, Dropped) + Send + Sync>;

/// In which state a reservation was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    /// No call can have been made: nobody was told of it, or it was released.
    Unseen,
    /// Somebody had it: a call may have been made, and nobody knows what it has cost.
    Held,
}

/// Whether a call may have been made. Clones are of the same call.
#[derive(Clone, Debug, Default)]
pub struct CallBegun(Arc<AtomicBool>);

impl CallBegun {
    /// To be called before anything is sent or started.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether anything may have been sent or started.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Credit that is set aside for one call. To be settled; if it is dropped instead, all of it is charged, unless the call
/// is known not to have begun.
pub struct Reservation {
    ticket: Option<ReservationRecord>,
    most: Credits,
    dropped: Dropped,
    begun: Option<CallBegun>,
    back: ReservationReturn,
}

impl Reservation {
    /// A reservation on its way to who asked for it.
    pub(super) fn new(ticket: ReservationRecord, back: ReservationReturn) -> Self {
        Self { most: ticket.most, ticket: Some(ticket), dropped: Dropped::Unseen, begun: None, back }
    }

    /// It has reached who asked for it.
    pub(super) fn hand_over(mut self) -> Self {
        self.dropped = Dropped::Held;
        self
    }

    /// What is set aside.
    pub const fn most(&self) -> Credits {
        self.most
    }

    /// Connects the reservation with its call: while that has not begun, a drop charges nothing.
    pub fn connect(&mut self) -> CallBegun {
        self.begun.insert(CallBegun::default()).clone()
    }

    /// Gives all of it back: the call was not made, and the ledger counts none.
    pub fn release(mut self) {
        self.give_back();
    }

    fn give_back(&mut self) {
        self.dropped = Dropped::Unseen;
        if self.most.is_zero() {
            // Nothing was set aside, and the ledger has no trace of it.
            self.ticket = None;
        }
    }

    /// Ends the reservation in an orderly way.
    pub(super) fn take(mut self) -> Option<ReservationRecord> {
        self.ticket.take()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.begun.as_ref().is_some_and(|begun| !begun.get()) {
            self.give_back();
        }
        if let Some(ticket) = self.ticket.take() {
            (self.back)(ticket, self.dropped);
        }
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}
