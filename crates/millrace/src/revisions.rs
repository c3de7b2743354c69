//! Published revisions in a folder: `DIR/NAME/1.yaml`, `2.yaml` and so on, and `index.json` with
//! their digests.
//!
//! A published file is never written again. The index is replaced whole, after the file it names is
//! on disk: what a crash leaves is an index without the file's number, and the number is given to
//! the next one that is published. One process publishes at a time.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use millrace_blueprint::{Blueprint, Digest, Publishing, Revision, Revisions};
use millrace_model::code::Code;
use serde::{Deserialize, Serialize};

/// The folder where nothing else is said.
pub const DEFAULT_FOLDER: &str = "blueprints";

const INDEX: &str = "index.json";

/// A folder of published revisions.
#[derive(Clone, Debug)]
pub struct RevisionFolder {
    folder: PathBuf,
}

/// A revision that was read.
#[derive(Debug)]
pub struct Published {
    /// Which one.
    pub revision: Revision,
    /// Its text, as it was published.
    pub text: String,
    /// The blueprint.
    pub blueprint: Blueprint,
}

#[derive(Serialize, Deserialize)]
struct Index {
    revisions: Vec<IndexEntry>,
}

#[derive(Serialize, Deserialize)]
struct IndexEntry {
    number: u32,
    digest: String,
    #[serde(default)]
    about: String,
}

/// `NAME` or `NAME@3`: a name, and the number where one is given. None when it is neither.
#[must_use]
pub fn parse_reference(text: &str) -> Option<(&str, Option<u32>)> {
    let (name, number) = match text.split_once('@') {
        Some((name, number)) => (name, Some(number.parse().ok().filter(|number| *number > 0)?)),
        None => (text, None),
    };
    is_name(name).then_some((name, number))
}

/// True for names that can be folders everywhere.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.chars().all(plain)
}

impl RevisionFolder {
    /// The revisions in a folder, which need not be there yet.
    #[must_use]
    pub fn new(folder: &Path) -> RevisionFolder {
        RevisionFolder { folder: folder.to_owned() }
    }

    /// Publishes a blueprint, unless the newest revision of its name says the same.
    ///
    /// # Errors
    /// When the name cannot be a folder, the newest revision is damaged, or the disk refuses.
    pub fn publish(
        &self,
        blueprint: &Blueprint,
        text: &str,
        about: &str,
    ) -> anyhow::Result<Publishing> {
        let name = blueprint.name();
        if !is_name(name) {
            bail!(
                "{}: the name \"{name}\" has more than letters, digits, - _ and .",
                Code::BadValue
            );
        }
        let folder = self.folder.join(name);
        let shown = folder.display();
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {shown}"))?;
        let lock =
            File::create(folder.join(".lock")).with_context(|| format!("cannot lock {shown}"))?;
        lock.lock().with_context(|| format!("cannot lock {shown}"))?;
        let mut revisions = self.revisions(name)?.unwrap_or_default();
        if let Some(newest) = revisions.newest() {
            // What follows on a damaged one could not be told from it.
            self.read(name, Some(newest.number))?;
        }
        let publishing = revisions.publish(&blueprint.digest(), about);
        if let Publishing::New(revision) = &publishing {
            write_whole(&folder, &format!("{}.yaml", revision.number), text.as_bytes())?;
            revisions.add(revision.clone());
            let index = index_of(&revisions);
            let json = serde_json::to_string_pretty(&index).context("cannot write the index")?;
            write_whole(&folder, INDEX, format!("{json}\n").as_bytes())?;
        }
        Ok(publishing)
    }

    /// The names of the blueprints that have revisions, with these, by name.
    ///
    /// # Errors
    /// When the folder or an index cannot be read.
    pub fn list(&self) -> anyhow::Result<Vec<(String, Revisions)>> {
        let shown = self.folder.display();
        let mut all = Vec::new();
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(all),
            Err(error) => return Err(anyhow!(error).context(format!("cannot read {shown}"))),
        };
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot read {shown}"))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_name(&name)
                && let Some(revisions) = self.revisions(&name)?
            {
                all.push((name, revisions));
            }
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(all)
    }

    /// A revision: that of a number, else the newest.
    ///
    /// # Errors
    /// When there is none, or what is there is not what was published.
    pub fn read(&self, name: &str, number: Option<u32>) -> anyhow::Result<Published> {
        let shown = self.folder.display();
        let unknown = |what: &str| {
            let hint = "see `millrace blueprint list`, and --dir for another folder";
            anyhow!("{}: {what} in {shown} ({hint})", Code::UnknownRevision)
        };
        let revisions = self
            .revisions(name)?
            .ok_or_else(|| unknown(&format!("there is no published blueprint \"{name}\"")))?;
        let found = match number {
            Some(number) => revisions.get(number),
            None => revisions.newest(),
        };
        let revision = found
            .ok_or_else(|| {
                let count = revisions.as_slice().len();
                let number = number.unwrap_or_default();
                unknown(&format!("\"{name}\" has no revision {number}, only 1 to {count}"))
            })?
            .clone();
        let path = self.folder.join(name).join(format!("{}.yaml", revision.number));
        let damaged = |why: &str| anyhow!("{}: {} {why}", Code::RevisionDamaged, path.display());
        let text = fs::read_to_string(&path)
            .map_err(|error| damaged(&format!("was published and cannot be read: {error}")))?;
        let blueprint =
            Blueprint::parse(&path.display().to_string(), &text).map_err(|mistakes| {
                let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
                damaged(&format!("was published and has mistakes now: {first}"))
            })?;
        let digest = blueprint.digest();
        if digest != revision.digest || blueprint.name() != name {
            return Err(damaged(&format!(
                "is not what was published: its digest is {}, that of revision {} is {}",
                digest.short(),
                revision.number,
                revision.digest.short()
            )));
        }
        Ok(Published { revision, text, blueprint })
    }

    /// The revisions of a name; none when nothing was published under it.
    fn revisions(&self, name: &str) -> anyhow::Result<Option<Revisions>> {
        let path = self.folder.join(name).join(INDEX);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(anyhow!(error).context(format!("cannot read {}", path.display())));
            }
        };
        let index: Option<Index> = serde_json::from_str(&text).ok();
        let revisions = index.and_then(|index| {
            let revision = |entry: IndexEntry| {
                let digest = Digest::parse(&entry.digest)?;
                Some(Revision { number: entry.number, digest, about: entry.about })
            };
            Revisions::from_list(index.revisions.into_iter().map(revision).collect::<Option<_>>()?)
        });
        revisions.map(Some).ok_or_else(|| {
            anyhow!("{}: {} is no index of revisions", Code::RevisionDamaged, path.display())
        })
    }
}

fn index_of(revisions: &Revisions) -> Index {
    let entry = |revision: &Revision| IndexEntry {
        number: revision.number,
        digest: revision.digest.as_str().to_owned(),
        about: revision.about.clone(),
    };
    Index { revisions: revisions.as_slice().iter().map(entry).collect() }
}

/// Writes a file so that after a crash it is there whole or not at all.
fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let shown = folder.join(name);
    let context = || format!("cannot write {}", shown.display());
    let mut builder = tempfile::Builder::new();
    // A temporary file is its owner's alone; who publishes is often not who serves.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = builder.tempfile_in(folder).with_context(context)?;
    file.write_all(bytes).with_context(context)?;
    file.as_file().sync_all().with_context(context)?;
    file.persist(&shown).with_context(context)?;
    #[cfg(unix)]
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(context)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "blueprint: shop\nrules: [{name: All, drop: true}]\n";

    fn publish(folder: &RevisionFolder, text: &str) -> anyhow::Result<Publishing> {
        let blueprint = Blueprint::parse("shop.yaml", text).expect("right");
        folder.publish(&blueprint, text, "why")
    }

    #[test]
    fn revisions_are_numbered_kept_and_checked() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = RevisionFolder::new(&temporary.path().join("revisions"));
        assert!(folder.list().unwrap().is_empty());
        assert!(matches!(publish(&folder, TEXT), Ok(Publishing::New(new)) if new.number == 1));
        let commented = format!("# a comment\n{TEXT}");
        assert!(
            matches!(publish(&folder, &commented), Ok(Publishing::Same(same)) if same.number == 1)
        );
        let other = TEXT.replace("All", "Everything");
        assert!(matches!(publish(&folder, &other), Ok(Publishing::New(new)) if new.number == 2));
        assert_eq!(folder.read("shop", Some(1)).unwrap().text, TEXT);
        assert_eq!(folder.read("shop", None).unwrap().revision.number, 2);
        let unknown = folder.read("shop", Some(3)).unwrap_err().to_string();
        assert!(unknown.starts_with("MR5110") && unknown.contains("only 1 to 2"), "{unknown}");
        assert!(folder.read("shoe", None).unwrap_err().to_string().starts_with("MR5110"));

        let file = temporary.path().join("revisions/shop/2.yaml");
        std::fs::write(&file, TEXT).unwrap();
        let damaged = folder.read("shop", Some(2)).unwrap_err().to_string();
        assert!(damaged.starts_with("MR5111"), "{damaged}");
        assert!(publish(&folder, &TEXT.replace("All", "More")).is_err());
        assert_eq!(folder.list().unwrap()[0].1.as_slice().len(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_published_can_be_read_like_any_other_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let temporary = tempfile::tempdir().unwrap();
        publish(&RevisionFolder::new(temporary.path()), TEXT).unwrap();
        let plain = temporary.path().join("plain");
        std::fs::write(&plain, TEXT).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o644;
        for name in ["shop/1.yaml", "shop/index.json"] {
            assert_eq!(mode(&temporary.path().join(name)), mode(&plain), "{name}");
        }
    }

    #[test]
    fn what_a_crash_left_is_not_a_revision() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = RevisionFolder::new(temporary.path());
        publish(&folder, TEXT).unwrap();
        std::fs::write(temporary.path().join("shop/2.yaml"), "torn").unwrap();
        assert_eq!(folder.read("shop", None).unwrap().revision.number, 1);
        let other = TEXT.replace("All", "Everything");
        assert!(matches!(publish(&folder, &other), Ok(Publishing::New(new)) if new.number == 2));
        assert_eq!(folder.read("shop", Some(2)).unwrap().text, other);
    }

    #[test]
    fn references_are_names_with_or_without_a_number() {
        for (text, expected) in [
            ("shop", Some(("shop", None))),
            ("shop@12", Some(("shop", Some(12)))),
            ("shop@0", None),
            ("shop@", None),
            ("../shop@1", None),
            (".shop@1", None),
            ("@1", None),
        ] {
            assert_eq!(parse_reference(text), expected, "{text}");
        }
    }
}
