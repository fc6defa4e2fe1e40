//! What a call did, step by step, for somebody who writes a provider's file.

/// The steps of one call, in words without secrets and without pictures.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    steps: Vec<String>,
}

impl Trace {
    /// The steps so far.
    pub fn steps(&self) -> &[String] {
        &self.steps
    }

    pub(super) fn note(&mut self, step: impl Into<String>) {
        self.steps.push(step.into());
    }
}
