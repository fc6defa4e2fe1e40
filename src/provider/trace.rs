//! Reports what a call does, step by step. `pixcolor provider test` prints the steps; without a listener the texts are
//! not even built.
//!
//! The provider reports the request, the reply, and how the reply was read; the gateway reports the cost and the
//! result. The provider masks API keys when it builds the text.

use std::fmt;
use std::sync::Arc;

use super::{FailureKind, ProviderError};
use crate::observe::TraceParent;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// What the provider sends or starts.
    Request,
    Reply,
    /// The values that were read from the reply, and their meaning.
    Mapping,
    /// The reservation and the settlement.
    Cost,
    /// What the gateway does with the response.
    Result,
}

impl Step {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Reply => "reply",
            Self::Mapping => "mapping",
            Self::Cost => "cost",
            Self::Result => "result",
        }
    }
}

/// The optional listener for the steps of a call, and the trace context of the client's request. Clones are cheap and
/// share the listener.
#[derive(Clone, Default)]
pub struct Trace {
    listener: Option<Arc<TraceListener>>,
    parent: Option<TraceParent>,
}

type Tell = dyn Fn(Step, &str) + Send + Sync;

struct TraceListener {
    dry: bool,
    tell: Box<Tell>,
}

impl Trace {
    /// Reports each step to `tell`. In a dry run no provider sends anything.
    pub fn new(dry: bool, tell: impl Fn(Step, &str) + Send + Sync + 'static) -> Self {
        Self { listener: Some(Arc::new(TraceListener { dry, tell: Box::new(tell) })), parent: None }
    }

    /// A trace without a listener.
    pub const fn of_request(parent: Option<TraceParent>) -> Self {
        Self { listener: None, parent }
    }

    /// The trace context of the client's request.
    pub const fn parent(&self) -> Option<TraceParent> {
        self.parent
    }

    /// Reports a step. `words` is called only if there is a listener.
    pub fn report(&self, step: Step, words: impl FnOnce() -> String) {
        if let Some(listener) = &self.listener {
            (listener.tell)(step, &words());
        }
    }

    /// Part of `Call::may_begin`: fails in a dry run.
    pub(super) fn may_send(&self) -> Result<(), ProviderError> {
        match &self.listener {
            Some(listener) if listener.dry => {
                Err(ProviderError::new(FailureKind::NotReady, "this is a dry run: nothing was sent"))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.listener.is_some() { "Trace(listener)" } else { "Trace(no listener)" })
    }
}
