//! `origins`, `require_origin` and `limits`: who may send, and how much.

use millrace_http::{Origins, RateLimits};

use super::super::super::document::{Field, Report};

const MOST: u64 = 10_000_000;

/// Reads `origins` and `require_origin`.
pub(super) fn read_origins(
    list: Option<&Field<'_>>,
    required: Option<&Field<'_>>,
    report: &mut Report<'_>,
) -> Origins {
    let mut origins = Origins::default();
    let fields = list.and_then(|field| field.list(report, "origins such as \"https://a.example\""));
    for field in fields.unwrap_or_default() {
        let Some(text) = field.text(report, "https://shop.example") else { continue };
        if let Err(error) = origins.allow(text) {
            let fix = "write for example \"https://shop.example\" or \"https://*.shop.example\"";
            field.wrong(report, &error.to_string(), Some(fix.to_owned()));
        }
    }
    if required.and_then(|field| field.flag(report)) == Some(true) {
        origins.require();
    }
    origins
}

/// Reads `limits`.
pub(super) fn read_limits(field: Option<&Field<'_>>, report: &mut Report<'_>) -> RateLimits {
    let mut limits = RateLimits::default();
    let Some(mut section) = field.and_then(|field| field.table(report)) else { return limits };
    let [requests, events, burst, day] =
        ["requests_per_second", "events_per_second", "burst_seconds", "events_per_day"]
            .map(|key| section.optional(key));
    section.finish(report);
    let mut small = |field: Option<Field<'_>>, most: u64| {
        let number = field?.number(report, (1, most))?;
        u32::try_from(number).ok()
    };
    limits.requests_per_second = small(requests, MOST);
    limits.events_per_second = small(events, MOST);
    limits.burst_seconds = small(burst, 3_600).unwrap_or(limits.burst_seconds);
    limits.events_per_day = day.and_then(|field| field.number(report, (1, 1_000_000_000_000)));
    limits
}
