//! `store artifact inspect REFERENCE`: what a reference offers, and which of it `store artifact fetch` would take.

use sealstone::import::Limits;
use sealstone::import::artifact::{Artifact, Offer, find_artifact, list_offers};
use sealstone::import::source::Reference;
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::image::short_id;
use crate::output::{Bytes, Facts, Table, escape, write_document};
use crate::registry::RegistryArgs;
use crate::source;

use super::artifact_fetch::ChoiceArgs;

/// Show what a reference offers, and what would be fetched
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store artifact inspect docker://quay.io/podman/machine-os:5.6
  store artifact inspect --json --arch aarch64 oci://registry.example/os:1")]
pub struct Args {
    // An attribute, not a comment: rustdoc would read the brackets as a link.
    #[arg(
        help = "docker:// or oci://HOST/REPOSITORY[:TAG][@DIGEST], or oci:DIR[:TAG] or oci-archive:FILE[:TAG]"
    )]
    reference: String,
    #[command(flatten)]
    choice: ChoiceArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    reporting: Reporting,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let reference: Reference = args.reference.parse()?;
    let limits = Limits::default();
    let source = source::open_artifact(&reference, &args.registry, &limits, context)?;
    let offers = list_offers(&*source, &limits)?;
    let chosen = find_artifact(&*source, &args.choice.choice(), &limits);
    let (chosen, why) = match chosen {
        Ok(artifact) => (Some(artifact), None),
        Err(error) => (None, Some(error.to_string())),
    };
    context.print(|out, terminal| {
        if args.reporting.json {
            let offers = offers.iter().map(|offer| offer_document(offer, chosen.as_ref())).collect();
            let document = Document { offers, chosen: chosen.as_ref().map(chosen_document), why };
            return write_document(out, "sealstone.artifact-offers/1", &document);
        }
        let mut table = Table::new().left("MANIFEST").left("PLATFORM").left("DISK TYPE").left("");
        for offer in &offers {
            let platform = offer.descriptor.platform().map(ToString::to_string).unwrap_or_default();
            let disk_type =
                offer.disk_type.as_deref().map(|text| escape(text.as_bytes())).unwrap_or_default();
            let mark = if is_chosen(offer, chosen.as_ref()) { "chosen" } else { "" };
            table.row([
                short_id(offer.descriptor.digest(), false),
                escape(platform.as_bytes()),
                disk_type,
                mark.to_owned(),
            ]);
        }
        table.write(out, terminal)?;
        match (&chosen, &why) {
            (Some(artifact), _) => facts(artifact).write(out, terminal),
            (None, why) => writeln!(out, "would fetch nothing: {}", why.as_deref().unwrap_or_default()),
        }
    })?;
    Ok(Exit::Done)
}

fn is_chosen(offer: &Offer, chosen: Option<&Artifact>) -> bool {
    chosen.is_some_and(|artifact| artifact.manifest.digest() == offer.descriptor.digest())
}

fn facts(artifact: &Artifact) -> Facts {
    let mut facts = Facts::new();
    facts.add("manifest", artifact.manifest).add("blob", artifact.body.digest());
    facts
        .add("size", Bytes(artifact.body.size()))
        .add("media type", escape(artifact.media_type().as_bytes()));
    if let Some(title) = &artifact.title {
        facts.add("title", escape(title.as_bytes()));
    }
    facts
}

/// The answer, `sealstone.artifact-offers/1`.
#[derive(Serialize)]
struct Document {
    offers: Vec<OfferDocument>,
    chosen: Option<ChosenDocument>,
    /// Why nothing is.
    why: Option<String>,
}

#[derive(Serialize)]
struct OfferDocument {
    manifest: String,
    platform: Option<String>,
    disk_type: Option<String>,
    chosen: bool,
}

#[derive(Serialize)]
struct ChosenDocument {
    manifest: String,
    artifact_type: Option<String>,
    blob: String,
    blob_bytes: u64,
    media_type: String,
    compression: &'static str,
    title: Option<String>,
}

fn offer_document(offer: &Offer, chosen: Option<&Artifact>) -> OfferDocument {
    OfferDocument {
        manifest: offer.descriptor.digest().to_string(),
        platform: offer.descriptor.platform().map(|platform| escape(platform.to_string().as_bytes())),
        disk_type: offer.disk_type.as_ref().map(|text| escape(text.as_bytes())),
        chosen: is_chosen(offer, chosen),
    }
}

fn chosen_document(artifact: &Artifact) -> ChosenDocument {
    let text = |text: &String| escape(text.as_bytes());
    ChosenDocument {
        manifest: artifact.manifest.to_string(),
        artifact_type: artifact.artifact_type.as_ref().map(text),
        blob: artifact.body.digest().to_string(),
        blob_bytes: artifact.body.size(),
        media_type: escape(artifact.media_type().as_bytes()),
        compression: artifact.compression().name(),
        title: artifact.title.as_ref().map(text),
    }
}
