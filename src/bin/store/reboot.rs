//! Rebooting, for `--apply`: the one thing that this command does to the machine that it runs on.

use std::process::Command;

use anyhow::{Context as _, bail};

/// Asks systemd for a reboot, which ends this process as well.
pub fn reboot() -> anyhow::Result<()> {
    let status = Command::new("systemctl").arg("reboot").status();
    let status = status.context("systemctl reboot: reboot by hand, the update is applied")?;
    if !status.success() {
        bail!("systemctl reboot ended with {status}: reboot by hand, the update is applied");
    }
    Ok(())
}
