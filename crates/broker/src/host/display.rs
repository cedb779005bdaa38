//! Whether a page can be shown to the person who waits.

use super::Env;

/// Whether there is a display on this machine, and the person sits at it.
pub(crate) fn has_display(env: &dyn Env) -> bool {
    let set = |name: &str| env.var(name).is_some_and(|value| !value.is_empty());
    if set("SSH_CONNECTION") {
        return false;
    }
    cfg!(any(windows, target_os = "macos")) || set("DISPLAY") || set("WAYLAND_DISPLAY")
}
