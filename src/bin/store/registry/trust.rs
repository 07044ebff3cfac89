//! Certificates: the system's, and those of `certs.d/HOST` (containers-certs.d(5)) or `--cert-dir`.

use std::path::Path;

use anyhow::Context as _;
use sealstone::import::registry::Trust;
use sealstone::import::registry::config::Certificates;
use sealstone::store::disk::Dir;

use super::Setup;

/// Where distributions keep the roots that they trust: Debian and Arch, Fedora, openSUSE, Alpine.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whom this machine trusts to be the registry, and what it shows itself.
pub fn read(setup: &Setup<'_>, host: &str) -> anyhow::Result<Trust> {
    let mut trust = Trust::default();
    add_system(&mut trust, setup)?;
    let Setup { disk, limits, .. } = setup;
    let found = match &setup.args.cert_dir {
        Some(folder) => Certificates::read_dir(disk, folder, limits)?,
        None => Certificates::for_host(disk, &setup.environment.places.certs_dirs(), host, limits)?,
    };
    trust.add_certificates(&format!("for {host}"), &found)?;
    Ok(trust)
}

/// `SSL_CERT_FILE` and `SSL_CERT_DIR` as OpenSSL takes them, else the distribution's bundle.
fn add_system(trust: &mut Trust, setup: &Setup<'_>) -> anyhow::Result<()> {
    let Setup { environment, disk, limits, .. } = setup;
    if let Some(path) = &environment.cert_file {
        let added = trust.add_file(disk, path, limits)?;
        added.with_context(|| format!("there is no file {}", path.display()))?;
    }
    if let Some(folder) = &environment.cert_dir {
        for entry in Dir::open(disk, folder)?.read_dir()? {
            // OpenSSL's folders hold other things too.
            let _ = trust.add_file(disk, &folder.join(entry.name), limits);
        }
    }
    if environment.cert_file.is_some() || environment.cert_dir.is_some() {
        return Ok(());
    }
    for path in BUNDLES {
        if trust.add_file(disk, Path::new(path), limits)?.is_some() {
            break;
        }
    }
    Ok(())
}
