//! Requests and uploads.

use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounterVec, IntGauge};

use super::Metrics;
use super::make::Make;

/// Histogram bounds in seconds: from a static file or a cache hit to a provider's time-out.
const SECONDS: &[f64] = &[0.01, 0.1, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Histogram bounds in bytes: 64 KiB to 16 MiB.
const BYTES: &[f64] = &[65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0];

pub(super) struct HttpMetrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    in_flight: IntGauge,
    upload_bytes: Histogram,
}

impl HttpMetrics {
    pub(super) fn new(make: &Make<'_>) -> Result<Self, prometheus::Error> {
        let requests = make.counter(
            "pixcolor_http_requests_total",
            "HTTP requests by method (GET, which includes HEAD; POST; other) and status.",
            &["method", "status"],
        )?;
        // An alert watches for the first event, so the counter must exist at 0.
        requests.with_label_values(&["POST", "402"]);
        Ok(Self {
            requests,
            seconds: make.histogram(
                "pixcolor_http_request_duration_seconds",
                "Time from a request's headers to its response's headers, for GET and POST. Uploads are POST.",
                &["method"],
                SECONDS,
            )?,
            in_flight: make
                .one_level("pixcolor_http_requests_in_flight", "HTTP requests that are being processed.")?,
            upload_bytes: make.one_histogram(
                "pixcolor_upload_bytes",
                "Size of the pictures that were uploaded.",
                BYTES,
            )?,
        })
    }
}

impl Metrics {
    pub fn request_began(&self) {
        self.0.http.in_flight.inc();
    }

    /// Counts a response. `method` is `GET`, `POST` or, for every other method, `other`. The latency of `other` is not
    /// recorded.
    pub fn request_ended(&self, method: &'static str, status: u16, took: Duration) {
        let http = &self.0.http;
        http.in_flight.dec();
        http.requests.with_label_values(&[method, &status.to_string()]).inc();
        if method != "other" {
            http.seconds.with_label_values(&[method]).observe(took.as_secs_f64());
        }
    }

    pub fn uploaded(&self, bytes: usize) {
        self.0.http.upload_bytes.observe(bytes as f64);
    }
}
