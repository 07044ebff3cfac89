//! `store uki sign FILE`: signs by a program of this machine, and believes nothing of it before the signature was checked here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use sealstone::boot::uki::{
    Certificate, SignTool, Signed, Signer, ToolSigner, unsigned_digest, verify_signature,
};
use sealstone::store::disk::{File, RealDisk};
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{escape, write_document};
use crate::output_file::place_file;

/// The most bytes of a file of certificates.
pub(super) const CERTIFICATES_MAX: u64 = 1 << 20;

/// Sign a unified kernel image, an addon or any other PE image
///
/// By sbsign or systemd-sbsign, which read the key or ask a token for it. What they wrote is checked: the same image as before,
/// and a signature by the certificate; else nothing is left behind.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store uki sign os.efi --key db.key --cert db.pem --output os.signed.efi
  store uki sign os.efi --with systemd-sbsign --provider pkcs11 --key 'pkcs11:object=db' --cert db.pem --output os.signed.efi")]
pub struct Args {
    /// The file
    file: PathBuf,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The private key: a file, or what an engine or a provider knows it by
    #[arg(long, value_name = "FILE|URI")]
    key: OsString,
    /// The certificate of the key
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// The program that signs
    #[arg(long, value_name = "TOOL", value_enum, default_value_t = Tool::Sbsign)]
    with: Tool,
    /// Another place of that program
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// OpenSSL's engine that has the key, such as pkcs11
    #[arg(long, value_name = "NAME")]
    engine: Option<String>,
    /// OpenSSL's provider that has the key, for systemd-sbsign
    #[arg(long, value_name = "NAME", conflicts_with = "engine")]
    provider: Option<String>,
    #[command(flatten)]
    reporting: Reporting,
}

/// `--with`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tool {
    Sbsign,
    SystemdSbsign,
}

/// The answer, `sealstone.uki-signature/1`.
#[derive(Serialize)]
pub(super) struct Document {
    pub file: String,
    pub signed_by: String,
    pub signatures: usize,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let trusted = certificates(&args.cert)?;
    let disk = RealDisk::shared();
    let name = args.file.display().to_string();
    let before = unsigned_digest(&File::open(&disk, &args.file)?, &name)?;
    let tool = ToolSigner {
        tool: match args.with {
            Tool::Sbsign => SignTool::Sbsign,
            Tool::SystemdSbsign => SignTool::SystemdSbsign,
        },
        program: args.program.clone(),
        key: args.key.clone(),
        certificate: args.cert.clone(),
        engine: args.engine.clone(),
        provider: args.provider.clone(),
    };
    let output = args.output.display().to_string();
    let signed = place_file(&args.output, |to| {
        call(&tool, &args.file, to)?;
        let file = File::open(&disk, to)?;
        if unsigned_digest(&file, &output)? != before {
            bail!("what was signed is not {}", escape(name.as_bytes()));
        }
        file.sync()?;
        Ok(verify_signature(&file, &output, &trusted)?)
    })?;
    show(&output, &signed, args.reporting.json, context)
}

/// Runs the program; it may ask for a pin on the terminal.
fn call(signer: &dyn Signer, from: &Path, to: &Path) -> anyhow::Result<()> {
    let command = signer.command(from, to);
    let program = escape(command.program.to_string_lossy().as_bytes());
    let status = Command::new(&command.program).args(&command.args).stdout(Stdio::null()).status();
    let status = status.with_context(|| format!("run {program}"))?;
    if !status.success() {
        bail!("{program} did not sign: {status}");
    }
    Ok(())
}

pub(super) fn certificates(path: &Path) -> anyhow::Result<Vec<Certificate>> {
    let bytes = File::open(&RealDisk::shared(), path)?.read_all(CERTIFICATES_MAX)?;
    Ok(Certificate::parse(&bytes, &path.display().to_string())?)
}

pub(super) fn show(file: &str, signed: &Signed, json: bool, context: &Context) -> anyhow::Result<Exit> {
    context.print(|out, terminal| {
        if json {
            let (file, signed_by) = (file.to_owned(), signed.by.clone());
            let document = Document { file, signed_by, signatures: signed.signatures };
            return write_document(out, "sealstone.uki-signature/1", &document);
        }
        let name = terminal.bold(&escape(file.as_bytes()));
        writeln!(out, "{name} is signed by {}", escape(signed.by.as_bytes()))
    })?;
    Ok(Exit::Done)
}
