//! What a call does, told step by step to whoever wants to know: `pixcolor provider test` prints it. For
//! everybody else the words are not even made.
//!
//! Every kind tells the same steps: what it sends, what came back, what was read out of that, and what it cost.
//! Keys are masked where the words are made.

use std::fmt;
use std::sync::Arc;

use super::{FailureKind, ProviderError};
use crate::observe::TraceParent;

/// Which step is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// What is sent, or started.
    Request,
    /// What came back.
    Reply,
    /// What was read where in the reply, and what it was taken for.
    Mapping,
    /// What was set aside for the call, and what it came to.
    Cost,
    /// What becomes of the answer.
    Result,
}

impl Step {
    /// The word that it is shown with.
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

/// Who is told, if anybody; and which trace of its caller's a call is part of. Cheap to clone; clones tell the same
/// listener.
#[derive(Clone, Default)]
pub struct Trace {
    listener: Option<Arc<Listener>>,
    parent: Option<TraceParent>,
}

type Tell = dyn Fn(Step, &str) + Send + Sync;

struct Listener {
    dry: bool,
    tell: Box<Tell>,
}

impl Trace {
    /// Tells `tell` of each step. In a dry run no provider sends anything.
    pub fn new(dry: bool, tell: impl Fn(Step, &str) + Send + Sync + 'static) -> Self {
        Self { listener: Some(Arc::new(Listener { dry, tell: Box::new(tell) })), parent: None }
    }

    /// Of a request that is part of a trace, or not. Nobody is told.
    pub const fn of_request(parent: Option<TraceParent>) -> Self {
        Self { listener: None, parent }
    }

    /// The trace that it is part of.
    pub const fn parent(&self) -> Option<TraceParent> {
        self.parent
    }

    /// Tells a step. The words are made only when somebody listens.
    pub fn tell(&self, step: Step, words: impl FnOnce() -> String) {
        if let Some(listener) = &self.listener {
            (listener.tell)(step, &words());
        }
    }

    /// Part of `Call::may_begin`: an error in a dry run.
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
        f.write_str(if self.listener.is_some() { "Trace(told)" } else { "Trace(nobody)" })
    }
}
