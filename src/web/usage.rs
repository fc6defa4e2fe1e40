//! `GET /v1/usage`: what was used, by provider, day or client, as JSON or CSV.

use rocket::http::{Accept, ContentType, Status};
use rocket::{Route, get, routes};
use time::OffsetDateTime;

use super::guards::{Admin, Context};
use super::problem::Problem;
use super::request::single;
use crate::credit::{UsageGrouping, days};

pub fn routes() -> Vec<Route> {
    routes![usage]
}

#[get("/v1/usage?<from>&<to>&<by>&<format>")]
async fn usage(
    context: Context,
    accept: Option<&Accept>,
    admin: Result<Admin, Status>,
    from: Vec<String>,
    to: Vec<String>,
    by: Vec<String>,
    format: Vec<String>,
) -> Result<(ContentType, String), Problem> {
    context.may_read_server_info(admin.as_ref()).await?;
    let (from, to) = (single("from", from)?, single("to", to)?);
    let days = days(from.as_deref(), to.as_deref(), OffsetDateTime::now_utc().date())
        .map_err(|error| Problem::bad_request(format!("{error}.")))?;
    let by = lines(single("by", by)?.as_deref())?;
    let csv = wants_csv(single("format", format)?.as_deref(), accept)?;
    if by == UsageGrouping::Client {
        admin.map_err(|status| Problem::new(status, "Usage by client needs the admin token."))?;
    }
    let report = context.gateway.usage(&context.snapshot, days.clone(), by).await.map_err(|error| {
        tracing::warn!("the usage cannot be read: {error}");
        Problem::new(Status::ServiceUnavailable, "The ledger cannot be read now; the log says more.")
    })?;
    Ok(match csv {
        true => (ContentType::CSV, report.to_csv()),
        false => (ContentType::JSON, report.to_json(&days).to_string()),
    })
}

fn lines(by: Option<&str>) -> Result<UsageGrouping, Problem> {
    let known = UsageGrouping::ALL.into_iter().find(|(word, _)| by.is_none_or(|by| by == *word));
    known.map(|(_, by)| by).ok_or_else(|| Problem::bad_request("`by` must be `provider`, `day` or `client`."))
}

fn wants_csv(format: Option<&str>, accept: Option<&Accept>) -> Result<bool, Problem> {
    match format {
        Some("csv") => Ok(true),
        Some("json") => Ok(false),
        Some(_) => Err(Problem::bad_request("Unknown format: use `json` or `csv`.")),
        None => Ok(accept.is_some_and(|accept| accept.preferred().media_type().is_csv())),
    }
}
