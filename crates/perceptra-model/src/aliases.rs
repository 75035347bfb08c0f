//! Alternative names of keys.

/// Alternative names of keys, short or from earlier versions, as (alternative name, current name), both without sections.
pub(crate) const ALIASES: [(&str, &str); 3] =
    [("lr", "learning_rate"), ("places", "max_parallel"), ("standardise_target", "standardize_target")];

/// The current name of a key without its section, which may be written by an alternative name.
pub(crate) fn current_name(name: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, now)| now)
}
