//! The property names with a `$` that have a meaning, and those that Mixpanel forbids.
//!
//! A name that starts with `$` and is none of these is probably misspelt: it is sent and counted,
//! and a blueprint that writes it is warned of. Names inside of values mean nothing to Mixpanel and
//! are not looked at.

/// Whose properties the members of an object are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// An event's.
    Event,
    /// Those of a user or group profile.
    Profile,
}

/// Names of event properties, sorted (reference/mixpanel-api.md 4.3, 5.1, 5.3, 5.5).
const EVENT: [&str; 67] = [
    "$anon_distinct_id",
    "$anon_id",
    "$app_build_number",
    "$app_version_string",
    "$bluetooth_enabled",
    "$bluetooth_version",
    "$brand",
    "$browser",
    "$browser_version",
    "$carrier",
    "$city",
    "$current_url",
    "$device",
    "$device_id",
    "$distinct_id",
    "$distinct_id_before_identity",
    "$distinct_ids",
    "$duration",
    "$duration_s",
    "$event_count",
    "$event_name",
    "$failure_description",
    "$failure_reason",
    "$geo_source",
    "$google_play_services",
    "$group_id",
    "$had_persisted_distinct_id",
    "$has_nfc",
    "$has_telephone",
    "$identified_id",
    "$identity_failure_reason",
    "$import",
    "$initial_referrer",
    "$initial_referring_domain",
    "$insert_id",
    "$is_reshuffled",
    "$latitude",
    "$lib_version",
    "$longitude",
    "$manufacturer",
    "$model",
    "$mp_api_endpoint",
    "$mp_api_timestamp_ms",
    "$mp_event_size",
    "$mp_experiment_name",
    "$mp_is_forwarded",
    "$mp_replay_id",
    "$origin_end",
    "$origin_start",
    "$os",
    "$os_version",
    "$partner_id",
    "$preshuffle_distinct_id",
    "$radio",
    "$referrer",
    "$referring_domain",
    "$region",
    "$screen_dpi",
    "$screen_height",
    "$screen_width",
    "$search_engine",
    "$source",
    "$time",
    "$token",
    "$user_id",
    "$watch_model",
    "$wifi",
];

/// Names of profile properties, sorted (reference/mixpanel-api.md 5.2, 5.3). A group key stands in
/// profiles under its own name, which is `$group_id` where nobody chose one (5.5).
const PROFILE: [&str; 25] = [
    "$avatar",
    "$browser",
    "$browser_version",
    "$city",
    "$country_code",
    "$created",
    "$distinct_id",
    "$email",
    "$first_name",
    "$geo_source",
    "$group_id",
    "$initial_referrer",
    "$initial_referring_domain",
    "$last_name",
    "$last_seen",
    "$latitude",
    "$longitude",
    "$mp_first_event_time",
    "$name",
    "$os",
    "$phone",
    "$region",
    "$swift_lib_version",
    "$timezone",
    "$transactions",
];

/// Names that nobody has misspelt although Mixpanel does not reserve them there: the destinations
/// of Segment and RudderStack have written them into projects for years
/// (reference/segment-syft.md 4, reference/rudderstack.md 2). Sorted.
const CUSTOMARY: [&str; 27] = [
    "$amount",
    "$app_name",
    "$app_namespace",
    "$bitness",
    "$carrier",
    "$cellular_enabled",
    "$currency",
    "$device_name",
    "$device_type",
    "$ios_ifa",
    "$locale",
    "$manufacturer",
    "$mobile",
    "$model",
    "$platform",
    "$platformVersion",
    "$screen_density",
    "$screen_dpi",
    "$screen_height",
    "$screen_width",
    "$session_id",
    "$uaFullVersion",
    "$unsubscribed",
    "$username",
    "$wifi",
    "$wifi_enabled",
    "$wow64",
];

/// The beginnings of whole families of names.
const EVENT_FAMILIES: [&str; 1] = ["$warehouse_"];
const PROFILE_FAMILIES: [&str; 2] = ["$android_", "$ios_"];

/// Names that no event property may have: two break Mixpanel's reports (reference/mixpanel-api.md
/// 5.1), and with `$ignore` Mixpanel says that it took the event and drops it (2.3). Each has the
/// name under which the property is sent instead.
pub(crate) const FORBIDDEN: [(&str, &str); 3] =
    [("bucket", "bucket_"), ("$bucket", "_bucket"), ("$ignore", "_ignore")];

impl Home {
    /// The names with a `$` that are known here; families not included.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        let own: &[&str] = match self {
            Home::Event => &EVENT,
            Home::Profile => &PROFILE,
        };
        own.iter().chain(&CUSTOMARY).copied()
    }

    fn families(self) -> &'static [&'static str] {
        match self {
            Home::Event => &EVENT_FAMILIES,
            Home::Profile => &PROFILE_FAMILIES,
        }
    }

    /// True for a name with a `$` that is none of the known ones.
    pub(crate) fn is_unknown(self, name: &str) -> bool {
        let own: &[&str] = match self {
            Home::Event => &EVENT,
            Home::Profile => &PROFILE,
        };
        name.starts_with('$')
            && own.binary_search(&name).is_err()
            && CUSTOMARY.binary_search(&name).is_err()
            && !self.is_of_family(name)
            && !(self == Home::Event && permitted(name).is_some())
    }

    /// True for a name that belongs to a family.
    pub(crate) fn is_of_family(self, name: &str) -> bool {
        self.families().iter().any(|family| name.starts_with(family))
    }
}

/// The name under which a property with a forbidden one is sent.
pub(crate) fn permitted(name: &str) -> Option<&'static str> {
    FORBIDDEN.iter().find(|(forbidden, _)| *forbidden == name).map(|(_, other)| *other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_where_they_belong() {
        for table in [EVENT.as_slice(), &PROFILE, &CUSTOMARY] {
            assert!(table.is_sorted(), "{table:?}");
        }
        for (home, name, unknown) in [
            (Home::Event, "$os", false),
            (Home::Event, "$email", true),
            (Home::Event, "$warehouse_id", false),
            (Home::Event, "os", false),
            (Home::Event, "$ignore", false),
            (Home::Profile, "$ignore", true),
            (Home::Event, "$", true),
            (Home::Profile, "$email", false),
            (Home::Profile, "$android_model", false),
            (Home::Profile, "$firstName", true),
            (Home::Profile, "$username", false),
        ] {
            assert_eq!(home.is_unknown(name), unknown, "{home:?} {name}");
        }
    }
}
