//! Where a person is, from the address of their device and a database in MaxMind's format (B-05).
//!
//! Events get `context.location` (those in Adobe's form `xdm.placeContext.geo`), where they have
//! none of their own. Nothing is looked up for servers and for addresses that belong to no place.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use maxminddb::Reader;
use millrace_model::event::{Event, Facts};
use millrace_model::passage::{NoteKind, Origin};
use millrace_protocol::json::{text, write_text};
use serde::Deserialize;

use crate::document::{Edits, Finds, PathId, Watch};

/// Why bytes cannot be used as a database of places.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// They are not in the format.
    #[error("it is no file in MaxMind's format, or it is damaged: {0}")]
    Unreadable(String),
    /// It is about something else.
    #[error("it is a database of `{0}`; one of cities or countries is needed")]
    WrongKind(String),
}

/// A database of places.
#[derive(Debug)]
pub struct PlaceDatabase {
    reader: Reader<Vec<u8>>,
}

#[derive(Default, Deserialize)]
struct Names<'a> {
    #[serde(borrow)]
    en: Option<&'a str>,
}

#[derive(Default, Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    names: Names<'a>,
    #[serde(borrow)]
    iso_code: Option<&'a str>,
}

#[derive(Default, Deserialize)]
struct Spot<'a> {
    latitude: Option<f64>,
    longitude: Option<f64>,
    #[serde(borrow)]
    time_zone: Option<&'a str>,
}

/// What a database says of an address; all that is not needed is skipped.
#[derive(Default, Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    city: Named<'a>,
    #[serde(borrow, default)]
    country: Named<'a>,
    #[serde(borrow, default)]
    subdivisions: Vec<Named<'a>>,
    #[serde(borrow, default)]
    location: Spot<'a>,
}

impl PlaceDatabase {
    /// Takes the bytes of a database file.
    ///
    /// # Errors
    /// When they are none, or one of something else than places.
    pub fn read(bytes: Vec<u8>) -> Result<PlaceDatabase, PlaceError> {
        let reader = Reader::from_source(bytes)
            .map_err(|error| PlaceError::Unreadable(error.to_string()))?;
        let kind = &reader.metadata().database_type;
        if !["City", "Country", "Enterprise"].iter().any(|wanted| kind.contains(wanted)) {
            return Err(PlaceError::WrongKind(kind.clone()));
        }
        Ok(PlaceDatabase { reader })
    }

    fn entry(&self, ip: IpAddr) -> Option<Entry<'_>> {
        self.reader.lookup(ip).ok()?.decode().ok().flatten()
    }
}

/// The database of now: a newer one takes its place while events come in.
#[derive(Debug)]
pub struct Places(RwLock<Arc<PlaceDatabase>>);

impl Places {
    /// Begins with a database.
    #[must_use]
    pub fn new(database: PlaceDatabase) -> Places {
        Places(RwLock::new(Arc::new(database)))
    }

    /// Puts another in its place.
    pub fn replace(&self, database: PlaceDatabase) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(database);
    }

    fn now(&self) -> Arc<PlaceDatabase> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a pipeline does with addresses.
#[derive(Clone, Debug)]
pub struct PlaceOptions {
    /// The database.
    pub places: Arc<Places>,
    /// Whether latitude and longitude are added. Default false: the city is enough for reports.
    pub coordinates: bool,
    /// Whether the address is taken out after it was looked up. Default false.
    pub drop_ip: bool,
}

#[derive(Debug)]
pub(crate) struct Locator {
    options: PlaceOptions,
    /// Where an event says its address; the first counts most.
    addresses: [PathId; 3],
    spec: Target,
    xdm: Target,
}

/// Where places are put: objects from the outside in, the last of which takes them.
#[derive(Debug)]
struct Target {
    objects: [(&'static str, PathId); 2],
}

impl Locator {
    pub(crate) fn new(options: PlaceOptions, watch: &mut Watch) -> Locator {
        let addresses = ["$.context.ip", "$.xdm.environment.ipV4", "$.xdm.environment.ipV6"];
        Locator {
            options,
            addresses: addresses.map(|path| watch.look_at(path)),
            spec: Target {
                objects: [("context", "$.context"), ("location", "$.context.location")]
                    .map(|(name, path)| (name, watch.look_at(path))),
            },
            xdm: Target {
                objects: [
                    ("placeContext", "$.xdm.placeContext"),
                    ("geo", "$.xdm.placeContext.geo"),
                ]
                .map(|(name, path)| (name, watch.look_at(path))),
            },
        }
    }

    /// Adds the place of an event's address, and takes the address out if that is wanted.
    pub(crate) fn govern(&self, event: &mut Event, finds: &Finds, edits: &mut Edits) {
        let body = &event.body;
        if let Some(ip) = self.address(&event.facts, finds, body).filter(|ip| has_place(*ip)) {
            let database = self.options.places.now();
            let adobe = event.passage.origin == Origin::Edge;
            let members = database.entry(ip).map(|entry| match adobe {
                true => xdm_members(&entry, self.options.coordinates),
                false => members(&entry, self.options.coordinates),
            });
            let members = members.filter(|members| !members.is_empty());
            if let Some(members) = members
                && self.insert(adobe, finds, body, &members, edits)
            {
                let place = if adobe { "$.xdm.placeContext.geo" } else { "$.context.location" };
                event.passage.note(NoteKind::Located, place);
            }
        }
        if self.options.drop_ip {
            let mut had_one = event.facts.client_ip.take().is_some();
            for found in self.addresses.iter().flat_map(|path| finds.all(*path)) {
                edits.remove(found);
                had_one = true;
            }
            if had_one {
                event.passage.note(NoteKind::Removed, "places.drop_ip");
            }
        }
    }

    fn address(&self, facts: &Facts, finds: &Finds, body: &[u8]) -> Option<IpAddr> {
        let own = self.addresses.iter().find_map(|path| {
            let ip = text(finds.last(*path)?.value.of(body))?;
            ip.trim().parse().ok()
        });
        own.or_else(|| facts.client_ip.as_deref()?.parse().ok()).map(|ip: IpAddr| ip.to_canonical())
    }

    /// False when the event has a place of its own, or something else where it belongs.
    fn insert(
        &self,
        adobe: bool,
        finds: &Finds,
        body: &[u8],
        members: &[u8],
        edits: &mut Edits,
    ) -> bool {
        let target = if adobe { &self.xdm } else { &self.spec };
        let [(outer_name, outer), (inner_name, inner)] = &target.objects;
        let inner_member = |out: &mut Vec<u8>| {
            out.extend_from_slice(format!("\"{inner_name}\":{{").as_bytes());
            out.extend_from_slice(members);
            out.push(b'}');
        };
        let raw =
            |path: &PathId| finds.last(*path).map(|found| (found.value, found.value.of(body)));
        match raw(inner) {
            Some((value, b"null")) => {
                edits.replace(value, [b"{", members, b"}"].concat());
                return true;
            }
            Some((value, [b'{', inside @ .., b'}'])) if inside.trim_ascii().is_empty() => {
                edits.insert(value, body, members);
                return true;
            }
            Some(_) => return false,
            None => {}
        }
        let mut json = Vec::with_capacity(members.len() + 32);
        match raw(outer) {
            Some((value, [b'{', ..])) => {
                inner_member(&mut json);
                edits.insert(value, body, &json);
            }
            Some((value, b"null")) => {
                json.push(b'{');
                inner_member(&mut json);
                json.push(b'}');
                edits.replace(value, json);
            }
            Some(_) => return false,
            // Only an event that Adobe's form has no place for at all is left alone.
            None if adobe => return false,
            None => {
                json.extend_from_slice(format!("\"{outer_name}\":{{").as_bytes());
                inner_member(&mut json);
                json.push(b'}');
                edits.insert(finds.whole(), body, &json);
            }
        }
        true
    }
}

fn members(entry: &Entry<'_>, coordinates: bool) -> Vec<u8> {
    let region = entry.subdivisions.first();
    let mut out = Vec::new();
    add(&mut out, "city", entry.city.names.en);
    add(&mut out, "region", region.and_then(|region| region.names.en));
    add(&mut out, "country", entry.country.names.en);
    add(&mut out, "country_code", entry.country.iso_code);
    add(&mut out, "timezone", entry.location.time_zone);
    if coordinates {
        add_number(&mut out, "latitude", entry.location.latitude);
        add_number(&mut out, "longitude", entry.location.longitude);
    }
    out
}

/// The same in the names of Adobe's `placeContext.geo`.
fn xdm_members(entry: &Entry<'_>, coordinates: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let region = entry.subdivisions.first();
    add(&mut out, "city", entry.city.names.en);
    add(&mut out, "stateProvince", region.and_then(|region| region.iso_code));
    add(&mut out, "countryCode", entry.country.iso_code);
    if coordinates {
        let (latitude, longitude) = (entry.location.latitude, entry.location.longitude);
        let mut spot = Vec::new();
        add_number(&mut spot, "latitude", latitude);
        add_number(&mut spot, "longitude", longitude);
        if !spot.is_empty() {
            let before: &[u8] = if out.is_empty() { b"" } else { b"," };
            out.extend([before, b"\"_schema\":{", &spot, b"}"].concat());
        }
    }
    out
}

fn add(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return };
    if !out.is_empty() {
        out.push(b',');
    }
    write_text(name, out);
    out.push(b':');
    write_text(value, out);
}

fn add_number(out: &mut Vec<u8>, name: &str, value: Option<f64>) {
    let Some(value) = value.filter(|value| value.is_finite()) else { return };
    if !out.is_empty() {
        out.push(b',');
    }
    out.extend_from_slice(format!("\"{name}\":{value}").as_bytes());
}

/// False for addresses that belong to no place: private, local, shared, multicast.
fn has_place(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || shared
                || a == 0
                || a >= 240)
        }
        IpAddr::V6(ip) => {
            let [first, ..] = ip.segments();
            let local = first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80;
            !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || local)
        }
    }
}
