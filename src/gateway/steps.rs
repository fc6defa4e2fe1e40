//! The steps that run on this machine: decode, merge, store, count.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::Gateway;
use super::cache_codec;
use super::error::Error;
use super::guard::CheckedColor;
use super::keys::PhotoKey;
use super::outcome::{DecodedPhoto, MergedImage, Rendition, RenditionFacts, RenditionOrigin, RouteResult};
use super::plan::ColorizePlan;
use super::timeline::TimedStep;
use crate::config::OnDamage;
use crate::observe::Saving;
use crate::photo::{self, EncodeOptions, Photo};
use crate::tasks::Cores;

/// The most idle cores that encode one large picture, besides its own thread.
const MAX_HELPERS: usize = 7;

impl Gateway {
    /// Decodes the upload and computes its pixel key. A damaged upload is an error if `on_damage` is "refuse".
    pub(super) async fn decode(&self, plan: &ColorizePlan) -> Result<DecodedPhoto, Error> {
        let (bytes, limits) = (plan.request.upload.bytes.clone(), plan.config().limits.photo());
        let options = plan.request.options.decode;
        let decode = move || {
            let photo = Photo::decode_as(&bytes, &options, &limits)?;
            let key = PhotoKey::new(&photo);
            Ok(DecodedPhoto { photo: Arc::new(photo), key })
        };
        let decoded = self.codec(decode).await?;
        plan.timeline.end(TimedStep::Decode);
        match &decoded.photo.damage {
            Some(damage) if plan.config().on_damage == OnDamage::Refuse => {
                Err(Error::Damaged(damage.clone()))
            }
            _ => Ok(decoded),
        }
    }

    /// Merges the colour with the photo and encodes the result.
    pub(super) async fn merge(
        &self,
        plan: &ColorizePlan,
        decoded: &DecodedPhoto,
        colored: &RouteResult,
    ) -> Result<MergedImage, Error> {
        let (encoding, upload) = (plan.encoding(), plan.request.upload.bytes.clone());
        let mark = encoding.mark(colored.provider.info());
        let (photo, color) = (decoded.photo.clone(), colored.color.clone());
        let merge = move || {
            let large = u64::from(photo.width()) * u64::from(photo.height()) >= photo::PARALLEL_FROM;
            let idle = Cores::idle(if large { MAX_HELPERS } else { 0 });
            let options = encoding.options(&upload, mark.as_ref(), (photo.width(), photo.height()));
            let options = EncodeOptions { threads: 1 + idle.count(), ..options };
            let encoded = match &*color {
                CheckedColor::Chroma(chroma) => photo::encode(&photo, chroma, &options)?,
                CheckedColor::Own(rgb) => photo::encode_own(&photo, rgb, &options)?,
            };
            // The memory cache counts an entry by its length, so the buffer must not have spare capacity.
            let bytes = Bytes::from(encoded.bytes.into_boxed_slice());
            let digest = Sha256::digest(&bytes).into();
            Ok((MergedImage { bytes, digest }, encoded.merge, encoded.encode))
        };
        let (merged, merge, encode) = self.codec(merge).await?;
        plan.timeline.end_together([(TimedStep::Merge, merge), (TimedStep::Encode, encode)]);
        Ok(merged)
    }

    /// Stores the colour, so that another format or file of this picture needs no call.
    pub(super) async fn store_color(
        &self,
        plan: &ColorizePlan,
        decoded: &DecodedPhoto,
        colored: &RouteResult,
    ) {
        let called = matches!(colored.origin, RenditionOrigin::Called(_));
        let (about, photo) = (colored.provider.info(), Some(&decoded.key));
        let key = plan.search.color_key(about, photo, plan.decoder_revision());
        let Some(key) = key.filter(|_| called && plan.request.reuse.store) else { return };
        let color = colored.color.clone();
        let written = move || match &*color {
            CheckedColor::Chroma(chroma) => chroma.to_bytes(),
            CheckedColor::Own(rgb) => rgb.to_bytes(),
        };
        match self.codec(written).await {
            Ok(bytes) => cache_codec::store_color(self.cache(), &key, &bytes, colored.cost).await,
            Err(error) => tracing::warn!("colour cannot be stored in the cache: {error}"),
        }
    }

    /// Stores the rendition if the request allows it. Returns its facts.
    pub(super) async fn store_rendition(
        &self,
        plan: &ColorizePlan,
        decoded: &DecodedPhoto,
        rendition: &Rendition,
    ) -> RenditionFacts {
        let facts = RenditionFacts {
            digest: rendition.digest,
            width: rendition.width,
            height: rendition.height,
            input: Some(plan.head.format),
            own_format: plan.head.format.output(),
            pages: rendition.pages,
            cost: rendition.cost(),
            photo: decoded.key,
            in_color: rendition.in_color,
            damage: rendition.damage.clone(),
        };
        if let Some(key) = rendition.cache_key {
            let picture = rendition.bytes.clone();
            cache_codec::store_rendition(self.cache(), &key, &facts, picture, plan.search.scope).await;
        }
        facts
    }

    /// Counts a response, and what it saved, in the metrics.
    pub fn count_rendition(&self, rendition: &Rendition) {
        self.metrics.rendition(rendition.origin.label());
        if let Some(saved) = rendition.saved {
            let saving = match rendition.origin {
                RenditionOrigin::Shared => Saving::Coalesced,
                RenditionOrigin::Passed => Saving::AlreadyColor,
                _ => Saving::Hit,
            };
            self.metrics.saved(&rendition.provider, saving, saved.credits);
            self.metrics.saved_time(saving, saved.time);
        }
    }
}

/// The rendition with the image that `merge` returned. Its colour may come from the cache.
pub fn rendition(
    plan: &ColorizePlan,
    decoded: &DecodedPhoto,
    colored: RouteResult,
    merged: MergedImage,
) -> Rendition {
    let about = colored.provider.info();
    let (usage, saved) = match colored.origin {
        RenditionOrigin::Called(_) => (colored.cost.usage, None),
        _ => (colored.cost.again(), Some(colored.cost.saved())),
    };
    Rendition {
        bytes: merged.bytes,
        digest: merged.digest,
        format: plan.format,
        width: decoded.photo.width(),
        height: decoded.photo.height(),
        pages: Some(plan.head.pages),
        provider: about.name.clone(),
        model: about.model.clone(),
        usage,
        saved,
        origin: colored.origin,
        in_color: decoded.photo.is_colored(),
        damage: decoded.photo.damage.clone(),
        timings: plan.timeline.steps(),
        cache_key: plan
            .search
            .rendition_key(about, &plan.encoding(), plan.decoder_revision())
            .filter(|_| plan.request.reuse.store),
        attempts: colored.attempts,
    }
}
