//! What Redis does for us in one step, as scripts: a change that checks first and then changes, with
//! nobody in between.

use redis::Script;

/// The scripts, each with what they have in common before it.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) begin: Script,
    pub(super) end: Script,
    pub(super) change: Script,
    pub(super) touch: Script,
    pub(super) import: Script,
}

macro_rules! script {
    ($file:literal) => {
        Script::new(concat!(include_str!("scripts/common.lua"), "\n", include_str!($file)))
    };
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            begin: script!("scripts/begin.lua"),
            end: script!("scripts/end.lua"),
            change: script!("scripts/change.lua"),
            touch: script!("scripts/touch.lua"),
            import: script!("scripts/import.lua"),
        }
    }
}
