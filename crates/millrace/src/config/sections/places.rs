//! `[places]`: the database that says where an address is.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use millrace_govern::places::{PlaceDatabase, PlaceOptions, Places};
use millrace_model::code::Code;

use super::super::document::{Report, Section};
use super::super::tree::PlacesFile;
use super::non_empty;

/// The largest database that is read into memory: the largest of MaxMind's has a quarter of it.
const MAX_BYTES: u64 = 1 << 30;

pub(super) fn read(
    mut section: Section<'_>,
    report: &mut Report<'_>,
) -> Option<(PlacesFile, PlaceOptions)> {
    let database = section.required(report, "database", "database = \"GeoLite2-City.mmdb\"");
    let [coordinates, drop_ip] = ["coordinates", "drop_ip"].map(|key| section.optional(key));
    section.finish(report);
    let mut flag = |field: Option<super::Field<'_>>| {
        field.and_then(|field| field.flag(report)).unwrap_or(false)
    };
    let (coordinates, drop_ip) = (flag(coordinates), flag(drop_ip));
    let field = database?;
    let path = non_empty(&field, report, "GeoLite2-City.mmdb")?;
    let path = report.resolve(path);
    match load(&path) {
        Ok(database) => {
            let places = Arc::new(Places::new(database));
            let options = PlaceOptions { places: Arc::clone(&places), coordinates, drop_ip };
            Some((PlacesFile { path, places }, options))
        }
        Err(reason) => {
            let message = format!("cannot use {} as database of places: {reason}", path.display());
            let fix = "take a .mmdb file of cities or countries, such as GeoLite2-City.mmdb";
            report.mistake(field.at(), Code::PlacesUnusable, message, Some(fix.to_owned()));
            None
        }
    }
}

/// Reads a database of places.
pub(in crate::config) fn load(path: &Path) -> Result<PlaceDatabase, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_BYTES) {
        return Err("it has more than 1 GiB".to_owned());
    }
    PlaceDatabase::read(bytes).map_err(|error| error.to_string())
}
