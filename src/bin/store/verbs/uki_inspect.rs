//! `store uki inspect FILE`: what is in a unified kernel image or an addon.

use std::path::PathBuf;

use sealstone::boot::uki::UkiProfile;
use sealstone::boot::{ComposefsArg, Kargs, OsRelease, Uki};
use sealstone::store::disk::{File, RealDisk};
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{Bytes, Facts, Table, escape, write_document};

/// Show what is in a unified kernel image or an addon
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store uki inspect os.efi
  store uki inspect --json /boot/EFI/Linux/os.efi | jq -r .cmdline")]
pub struct Args {
    /// The file
    file: PathBuf,
    #[command(flatten)]
    reporting: Reporting,
}

/// The answer, `sealstone.uki-inspect/1`.
#[derive(Serialize)]
struct Document {
    kind: &'static str,
    architecture: Option<&'static str>,
    signed: bool,
    boot_digest: Option<String>,
    images: Vec<String>,
    cmdline: Option<String>,
    uname: Option<String>,
    os_release: Option<String>,
    sbat: Option<String>,
    sections: Vec<SectionDocument>,
    profiles: Vec<ProfileDocument>,
}

#[derive(Serialize)]
struct ProfileDocument {
    profile: Option<String>,
    cmdline: Option<String>,
    sections: Vec<SectionDocument>,
}

#[derive(Serialize)]
struct SectionDocument {
    name: String,
    size: u64,
    offset: u64,
    flags: String,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let file = File::open(&RealDisk::shared(), &args.file)?;
    let name = args.file.display().to_string();
    let uki = Uki::read(&file, &name)?;
    let boot_digest = if uki.is_addon() { None } else { Some(uki.boot_digest(&file)?.to_string()) };
    let document = document(&uki, boot_digest);
    context.print(|out, terminal| {
        if args.reporting.json {
            return write_document(out, "sealstone.uki-inspect/1", &document);
        }
        let signed = if document.signed { "signed" } else { "not signed" };
        let name = terminal.bold(&escape(name.as_bytes()));
        writeln!(
            out,
            "{name}: {}, {}, {signed}",
            document.kind,
            document.architecture.unwrap_or("another machine")
        )?;
        let text = |text: &Option<String>| text.as_deref().map(|text| escape(text.as_bytes()));
        let system = document.os_release.as_deref().map(OsRelease::parse);
        let mut facts = Facts::new();
        facts
            .add_some("system", system.map(|system| escape(system.title.as_bytes())))
            .add_some("kernel", text(&document.uname))
            .add_some("command line", text(&document.cmdline))
            .add_some("boots", Some(document.images.join("\n")).filter(|images| !images.is_empty()))
            .add_some("boot digest", document.boot_digest.as_deref());
        facts.write(out, terminal)?;
        let mut table = Table::new().left("SECTION").right("SIZE").left("PROFILE");
        let of_profiles = document.profiles.iter().flat_map(|profile| {
            let name = profile.profile.as_deref().unwrap_or_default();
            profile.sections.iter().map(move |section| (section, name))
        });
        for (section, profile) in document.sections.iter().map(|section| (section, "")).chain(of_profiles) {
            let profile = profile.lines().next().unwrap_or_default();
            table.row([section.name.clone(), Bytes(section.size).to_string(), escape(profile.as_bytes())]);
        }
        table.write(out, terminal)
    })?;
    Ok(Exit::Done)
}

fn document(uki: &Uki, boot_digest: Option<String>) -> Document {
    let base = uki.base();
    let line: Option<Kargs> = base.cmdline.as_deref().and_then(|line| line.parse().ok());
    let images = line.and_then(|line| ComposefsArg::find_all(&line).ok()).unwrap_or_default();
    Document {
        kind: if uki.is_addon() { "addon" } else { "unified kernel image" },
        architecture: uki.pe().architecture(),
        signed: uki.pe().has_signatures(),
        boot_digest,
        images: images.iter().map(|arg| arg.image().to_hex()).collect(),
        cmdline: base.cmdline.clone(),
        uname: base.uname.clone(),
        os_release: base.os_release.clone(),
        sbat: uki.sbat().map(str::to_owned),
        sections: sections(base),
        profiles: uki
            .profiles()
            .iter()
            .map(|profile| ProfileDocument {
                profile: profile.profile.clone(),
                cmdline: profile.cmdline.clone(),
                sections: sections(profile),
            })
            .collect(),
    }
}

fn sections(profile: &UkiProfile) -> Vec<SectionDocument> {
    let describe = |section: &sealstone::boot::uki::Section| SectionDocument {
        name: section.name(),
        size: section.size(),
        offset: section.offset(),
        flags: format!("{:#010x}", section.flags()),
    };
    profile.sections.iter().map(describe).collect()
}
