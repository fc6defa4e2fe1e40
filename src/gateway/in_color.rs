//! Uploads that are already in colour: detected after decoding, before any provider is called.
//!
//! `on_colour` decides whether such an upload is refused, returned or coloured. Only the operator sets it, because it
//! saves the operator's credit. A returned upload is encoded again, so that it has the metadata that the request asks
//! for and no other, such as the place where the photograph was taken.

use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::Gateway;
use super::error::Error;
use super::ledger_view::BudgetView;
use super::outcome::{DecodedPhoto, Rendition, RenditionOrigin, SavedCost};
use super::plan::{CacheSearch, ColorizePlan};
use super::timeline::TimedStep;
use crate::config::OnColor;
use crate::credit::{Credits, Usage};
use crate::photo::{self, Photo, PhotoError};
use crate::provider::Provider;

impl Gateway {
    /// Applies `on_colour`: `Break` with the result for an upload in colour, or `Continue` if the photo is to be
    /// coloured.
    pub(super) async fn in_color(
        &self,
        plan: &ColorizePlan,
        decoded: DecodedPhoto,
    ) -> Result<ControlFlow<Rendition, DecodedPhoto>, Error> {
        match plan.config().on_color {
            _ if !decoded.photo.is_colored() => Ok(Continue(decoded)),
            OnColor::Recolor => Ok(Continue(decoded)),
            OnColor::Refuse => Err(Error::InColor),
            OnColor::Pass => Ok(Break(self.pass(plan, decoded).await?)),
        }
    }

    /// Returns the upload's own picture, in the requested format and with the requested metadata. The result is not
    /// stored.
    async fn pass(&self, plan: &ColorizePlan, decoded: DecodedPhoto) -> Result<Rendition, Error> {
        let provider = self.first_available(plan).await?;
        let about = provider.info();
        let expected = self.expected(&plan.search.snapshot, about, plan.head.pixels()).await;
        plan.timeline.end(TimedStep::Detect);
        let (width, height) = (decoded.photo.width(), decoded.photo.height());
        let damage = decoded.photo.damage.clone();
        let (bytes, digest) = self.rewrite(plan, decoded).await?;
        plan.timeline.end(TimedStep::Encode);
        Ok(Rendition {
            bytes,
            digest,
            format: plan.format,
            width,
            height,
            pages: Some(plan.head.pages),
            provider: about.name.clone(),
            model: about.model.clone(),
            usage: Usage { credits: Some(Credits::ZERO), cpu: None },
            // Without past calls, the least that the price allows. A free call saves nothing.
            saved: (!expected.most.is_zero()).then(|| SavedCost {
                credits: Some(expected.typical.unwrap_or(expected.low)),
                time: expected.time.map_or(Duration::ZERO, |time| time.typical),
            }),
            origin: RenditionOrigin::Passed,
            in_color: true,
            damage,
            attempts: Vec::new(),
            timings: plan.timeline.steps(),
            cache_key: None,
        })
    }

    /// Encodes the upload's own pixels. Returns the file and its SHA-256. It has no mark, because no network coloured
    /// it.
    async fn rewrite(&self, plan: &ColorizePlan, decoded: DecodedPhoto) -> Result<(Bytes, [u8; 32]), Error> {
        let (encoding, decode) = (plan.encoding(), plan.request.options.decode);
        let (upload, limits) = (plan.request.upload.clone(), plan.config().limits.photo());
        let encode = move || -> Result<(Bytes, [u8; 32]), PhotoError> {
            // The luminance is not needed any more. Its memory is freed before the upload's pixels are decoded again.
            let size = (decoded.photo.width(), decoded.photo.height());
            let Photo { alpha, .. } = Arc::unwrap_or_clone(decoded.photo);
            let options = encoding.options(&upload.bytes, None, size);
            let encoded = photo::encode_upload(&upload.bytes, &decode, &limits, alpha.as_deref(), &options)?;
            let bytes = Bytes::from(encoded.bytes.into_boxed_slice());
            let digest = Sha256::digest(&bytes).into();
            Ok((bytes, digest))
        };
        self.codec(encode).await
    }

    /// The first provider of the route that can be called now, or the first of the route if none can.
    async fn first_available<'p>(&self, plan: &'p ColorizePlan) -> Result<&'p dyn Provider, Error> {
        let CacheSearch { route, snapshot, account, pixels, .. } = &plan.search;
        let budgets = BudgetView::new(self, snapshot, account.clone());
        for provider in route {
            if budgets.obstacle(provider.as_ref(), *pixels).await.is_none() {
                return Ok(provider.as_ref());
            }
        }
        // A validated route is never empty.
        route.first().map(AsRef::as_ref).ok_or(Error::Internal)
    }
}
