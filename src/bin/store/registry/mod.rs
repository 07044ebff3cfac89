//! What the client of registries is told: flags, the environment, and this machine's files, in podman's order.
//!
//! The library asks for none of these; here they are named to it. Secrets come from files, helpers or standard input, and
//! go nowhere but into the library's types.

#![allow(clippy::doc_markdown, reason = "some of these comments are help texts, shown as they are")]

mod credentials;
pub mod environment;
mod policy;
mod pull_secret;
mod trust;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use sealstone::import::Limits;
use sealstone::import::registry::config::{Endpoint, RegistriesConf};
use sealstone::import::registry::{
    Proxies, RegistryEndpoint, RegistryReference, RegistrySettings, RegistrySource,
};
use sealstone::store::disk::{Disk, RealDisk};

use crate::context::Context;
use environment::Environment;
use pull_secret::PullSecret;

/// The flags of verbs that read from registries, as podman and skopeo have them.
#[derive(clap::Args)]
#[command(next_help_heading = "Registry options")]
pub struct RegistryArgs {
    /// A file with credentials [env: SEALSTONE_AUTH_FILE, REGISTRY_AUTH_FILE] [default: podman's, then Docker's]
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// The user to log in as; the password is asked for, or read from standard input
    #[arg(long, value_name = "USER", conflicts_with = "authfile")]
    creds: Option<String>,
    /// Where a pull secret is read from, into memory alone: fd:N, a file, or - for standard input. It is USER:PASSWORD, the
    /// base64 of that, or any other text
    #[arg(long, value_name = "PLACE", conflicts_with_all = ["authfile", "creds"])]
    pull_secret: Option<String>,
    #[arg(skip)]
    read_secret: PullSecret,
    /// A folder with certificates: *.crt to trust, *.cert and *.key to show [default: certs.d/HOST of podman and Docker]
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<PathBuf>,
    /// With =false, take any certificate, and plain http where there is no TLS
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(hide_possible_values = true)]
    tls_verify: Option<bool>,
}

/// What is read while the client is set up.
struct Setup<'a> {
    args: &'a RegistryArgs,
    environment: Environment,
    disk: Arc<dyn Disk>,
    limits: &'a Limits,
    context: &'a Context,
}

/// The image in its registry, or in a mirror that registries.conf names; nothing is asked yet.
pub fn open(
    reference: &RegistryReference,
    args: &RegistryArgs,
    limits: &Limits,
    context: &Context,
) -> anyhow::Result<RegistrySource> {
    let environment = Environment::read();
    let setup = Setup { args, environment, disk: RealDisk::shared(), limits, context };
    let demand = policy::demand(&setup, reference)?;
    let places = &setup.environment.places;
    let files = (places.registries_conf(), places.registries_conf_dirs());
    let conf = RegistriesConf::load(&setup.disk, &files.0, &files.1, limits)?;
    let (host, by_digest) = (reference.host().as_str(), reference.digest().is_some());
    let endpoints = conf.resolve(host, reference.repository(), by_digest)?;
    let endpoints = endpoints.into_iter().map(|endpoint| setup.endpoint(&endpoint, &conf));
    let mut settings = RegistrySettings::default();
    settings.proxies = setup.environment.proxies()?;
    settings.cancel = Some(context.control()?.cancel_token());
    let source = RegistrySource::new(reference.clone(), endpoints.collect::<Result<_, _>>()?, &settings)?;
    Ok(match demand {
        Some((name, demand)) => source.demanding(name, demand),
        None => source,
    })
}

/// The registry itself, to be written to; nothing is asked yet. `policy.json` is about what comes in.
pub fn to_push(
    reference: &RegistryReference,
    args: &RegistryArgs,
    limits: &Limits,
    context: &Context,
) -> anyhow::Result<(RegistryEndpoint, RegistrySettings)> {
    let setup = Setup { args, environment: Environment::read(), disk: RealDisk::shared(), limits, context };
    let places = &setup.environment.places;
    let files = (places.registries_conf(), places.registries_conf_dirs());
    let conf = RegistriesConf::load(&setup.disk, &files.0, &files.1, limits)?;
    let endpoints = conf.resolve(reference.host().as_str(), reference.repository(), false)?;
    let own = endpoints.iter().find(|endpoint| !endpoint.is_mirror);
    let own = own.with_context(|| format!("registries.conf has no place for {reference} but mirrors"))?;
    let endpoint = setup.endpoint(own, &conf)?;
    let mut settings = RegistrySettings::default();
    settings.proxies = setup.environment.proxies()?;
    settings.cancel = Some(context.control()?.cancel_token());
    Ok((endpoint, settings))
}

impl Setup<'_> {
    fn endpoint(&self, found: &Endpoint, conf: &RegistriesConf) -> anyhow::Result<RegistryEndpoint> {
        let host = found.host.parse().map_err(|reason: String| anyhow::anyhow!(reason))?;
        let mut endpoint = RegistryEndpoint::new(host, &found.repository);
        endpoint.is_insecure = self.args.tls_verify.map_or(found.insecure, |verified| !verified);
        endpoint.trust = trust::read(self, &found.host)?;
        let secret = match &self.args.pull_secret {
            Some(place) if !found.is_mirror => self.args.read_secret.for_host(place, &found.host)?,
            _ => None,
        };
        endpoint.credentials = match &self.args.creds {
            _ if secret.is_some() => secret,
            // They were given for the registry, not for its mirrors.
            Some(given) if !found.is_mirror => Some(credentials::from_flag(given)?),
            Some(_) => None,
            None => credentials::look_up(self, found, conf)?,
        };
        if let Some(proxy) = &found.proxy {
            let proxy = Some(proxy.expose());
            endpoint.proxies = Some(Proxies::new(proxy, proxy, self.environment.no_proxy())?);
        }
        Ok(endpoint)
    }
}
