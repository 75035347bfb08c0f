//! Checksums that tell whether a folder holds the same search.

use std::collections::{BTreeMap, BTreeSet};

use perceptra_data::{Encoder, Schema};
use perceptra_model::{ModelError, RunConfig, Tables};

use crate::error::SearchError;

/// Settings that may change from one part of a search to the next.
const FREE: [&str; 10] = [
    "version",
    "output.device",
    "output.model",
    "checkpoint.",
    "data.table",
    "split.test_file",
    "search.ensemble",
    // These decide which rows are read, and the rows have a checksum of their own.
    "data.header",
    "data.skip_rows",
    "data.sheet",
];

/// Keys that were renamed, as (current name, original name); the checksum uses the original, so that older searches can be resumed.
const RENAMED: [(&str, &str); 2] =
    [("search.max_parallel", "search.places"), ("encoder.standardize_target", "encoder.standardise_target")];

/// Keys that have become optional, with the defaults that they had: searches of before can be resumed, and [`of_rows`] tells those whose
/// rows are now encoded otherwise.
const DEFAULTS: [(&str, &str); 1] = [("encoder.max_categories", "100")];

/// A checksum of the settings of a run and of what is searched.
pub(crate) fn of_settings(run: &RunConfig) -> u32 {
    crc32fast::hash(checked_text(run).as_bytes())
}

/// The settings that identify a search, one per line.
fn checked_text(run: &RunConfig) -> String {
    checked(run).iter().map(|(key, value)| format!("{key}={value}\n")).collect()
}

/// The settings that identify a search, by the names that its checksum has for them.
fn checked(run: &RunConfig) -> BTreeMap<String, String> {
    let first_name =
        |key: String| RENAMED.iter().find(|(now, _)| *now == key).map_or(key, |(_, first)| (*first).into());
    let mut settings: BTreeMap<String, String> =
        run.settings().into_iter().map(|(key, value)| (first_name(key), value)).collect();
    for (key, value) in DEFAULTS {
        settings.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    settings.retain(|key, _| !FREE.iter().any(|free| key.starts_with(free)));
    settings
}

/// The settings that identify a search and differ between two run files, each with both values; none if a file cannot be read.
pub(crate) fn differences(old: &str, new: &str) -> Vec<String> {
    let settings = |text: &str| RunConfig::from_toml("search.toml", text).map(|run| checked(&run));
    let (Ok(old), Ok(new)) = (settings(old), settings(new)) else { return Vec::new() };
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let text = |all: &BTreeMap<String, String>, key: &str| all.get(key).map_or("not set", String::as_str).to_owned();
    keys.into_iter()
        .map(|key| (key, text(&old, key), text(&new, key)))
        .filter(|(_, was, is)| was != is)
        .map(|(key, was, is)| format!("{key} was {was}, is {is}"))
        .collect()
}

/// A checksum of all rows, as the run's own encoder encodes them.
pub(crate) fn of_rows(run: &RunConfig, tables: &Tables, schema: &Schema) -> Result<u32, SearchError> {
    let mut hash = crc32fast::Hasher::new();
    let encoder = Encoder::labels_of(&tables.table, schema)
        .and_then(|labels| Encoder::fit(&tables.table, schema, labels, &run.encoder))
        .map_err(ModelError::from)?;
    for table in [Some(&tables.table), tables.validation.as_ref(), tables.test.as_ref()].into_iter().flatten() {
        let inputs = encoder.inputs(table).map_err(ModelError::from)?.0;
        let targets = encoder.outputs_of(table).map_err(ModelError::from)?;
        for value in inputs.values.iter().chain(&targets.values) {
            hash.update(&value.to_le_bytes());
        }
    }
    Ok(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_is_named_here_is_one() {
        let is_key = |name: &str| name == "version" || RunConfig::keys().any(|key| key.starts_with(name));
        let names = FREE.into_iter().chain(RENAMED.map(|(now, _)| now)).chain(DEFAULTS.map(|(key, _)| key));
        names.for_each(|name| assert!(is_key(name), "{name}"));
        // The earlier name still stands for the key.
        RENAMED.iter().for_each(|(now, first)| assert_eq!(RunConfig::key(first).unwrap(), *now));
    }

    #[test]
    fn a_search_of_an_older_version_is_recognized_by_its_renamed_keys() {
        let read = |encoder: &str, search: &str| {
            let text = format!("[encoder]\n{encoder} = false\n[search]\nhalving = 3\n{search} = 4\ntrials = 9\n");
            RunConfig::from_toml("run.toml", &text).unwrap()
        };
        let (old, new) = (read("standardise_target", "places"), read("standardize_target", "max_parallel"));
        assert_eq!(old, new);
        assert_eq!(new.search.max_parallel, Some(4));
        // The text has the names and the order that the older version hashed.
        let text = checked_text(&new);
        assert!(text.contains("encoder.standardise_target=false\n"), "{text}");
        assert!(text.contains("search.halving=3\nsearch.places=4\nsearch.repeats=1\n"), "{text}");
        assert!(text.contains("encoder.max_categories=100\n") && !text.contains("encoder.tails"), "{text}");
        assert!(!text.contains("max_parallel") && !text.contains("standardize"), "{text}");
    }
}
