//! A reservation as a value. Dropping the value ends the reservation, and tells the ledger whether a call may have been
//! made.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use time::OffsetDateTime;

use super::{Credits, ReserveRequest};

/// A reservation, as the ledger records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservationRecord {
    /// 0 for a reservation of zero credits.
    pub id: u64,
    /// The time of the reservation in UTC.
    pub at: OffsetDateTime,
    pub provider: String,
    pub client: Option<String>,
    /// The reserved credit.
    pub most: Credits,
    /// Pixels of the photo.
    pub pixels: u64,
    /// Pixels of the image to send.
    pub sent_pixels: u64,
}

impl ReservationRecord {
    /// The record of a granted request.
    pub(super) fn new(id: u64, at: OffsetDateTime, wish: ReserveRequest) -> Self {
        let ReserveRequest { provider, client, most, pixels, sent_pixels, budgets: _ } = wish;
        Self { id, at: at.truncate_to_second(), provider, client, most, pixels, sent_pixels }
    }

    /// Whether the call is free and its client has no API key. Such a call is counted without its client if the day's
    /// usage already names `ANONYMOUS_CLIENTS_A_DAY` other clients without a key.
    pub(super) fn is_free_and_anonymous(&self) -> bool {
        self.most.is_zero() && self.client.as_deref().is_some_and(is_anonymous)
    }
}

/// How many clients without an API key the usage of a day names. A client that uses two providers counts twice. Beyond
/// this number, free calls of further clients are counted without a client, because anyone can use many addresses,
/// which must not fill the ledger. Clients with a key need no such bound, because only the operator creates keys.
pub const ANONYMOUS_CLIENTS_A_DAY: usize = 250;

/// Whether a client has no API key.
pub(super) fn is_anonymous(client: &str) -> bool {
    !client.starts_with("key:")
}

/// A function of the ledger that is called with each dropped reservation. It must not block.
pub(super) type ReservationReturn = Arc<dyn Fn(ReservationRecord, Dropped) + Send + Sync>;

/// The state of a dropped reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    /// No call was made: the reservation was never returned to a caller, was released, or its call had not begun.
    Unseen,
    /// A call may have been made, at unknown cost.
    Held,
}

/// Whether a call may have been made. Clones share the state.
#[derive(Clone, Debug, Default)]
pub struct CallBegun(Arc<AtomicBool>);

impl CallBegun {
    /// Notes that the call begins. Must be called before anything is sent to the provider, or its program is started.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the call may have begun.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Credit that is reserved for one call and must be settled. If it is dropped instead, it is charged in full, unless
/// the call is known not to have begun.
pub struct Reservation {
    ticket: Option<ReservationRecord>,
    most: Credits,
    dropped: Dropped,
    begun: Option<CallBegun>,
    back: ReservationReturn,
}

impl Reservation {
    /// A reservation that was not yet returned to its caller.
    pub(super) fn new(ticket: ReservationRecord, back: ReservationReturn) -> Self {
        Self { most: ticket.most, ticket: Some(ticket), dropped: Dropped::Unseen, begun: None, back }
    }

    /// Marks the reservation as received by its caller: if it is dropped from now on, a call may have been made.
    pub(super) fn hand_over(mut self) -> Self {
        self.dropped = Dropped::Held;
        self
    }

    /// The reserved credit.
    pub const fn most(&self) -> Credits {
        self.most
    }

    /// Connects the reservation with its call: until the call begins, a drop charges nothing. The call must set the
    /// returned value when it begins.
    pub fn connect(&mut self) -> CallBegun {
        self.begun.insert(CallBegun::default()).clone()
    }

    /// Releases the reservation: the call was not made and is not counted.
    pub fn release(mut self) {
        self.give_back();
    }

    fn give_back(&mut self) {
        self.dropped = Dropped::Unseen;
        if self.most.is_zero() {
            // A reservation of zero credits is not in the ledger.
            self.ticket = None;
        }
    }

    /// Takes the record out, so that the drop of the reservation does nothing.
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
