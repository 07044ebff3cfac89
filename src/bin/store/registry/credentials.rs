//! Credentials: from a flag, or from the first auth file or helper that has some, in the order of containers-auth.json(5).

use std::io::{self, BufRead};

use anyhow::Context as _;
use console::Term;
use sealstone::import::registry::Credentials;
use sealstone::import::registry::config::{
    AuthFile, CredentialSource, Endpoint, HelperRunner, RegistriesConf, find_credentials,
};

use super::Setup;
use crate::failure::WrongUsage;

/// `--creds`: the user is asked for the password, on the terminal or by a line of standard input. One on the command line
/// is refused: everybody on the machine could see it, and the shell's history keeps it.
pub fn from_flag(given: &str) -> anyhow::Result<Credentials> {
    if given.contains(':') {
        let what = "a password on the command line is seen by everybody on the machine";
        let hint = "write --creds USER: the password is asked for, or read from standard input; or use --authfile FILE";
        return Err(WrongUsage { what, hint }.into());
    }
    let terminal = Term::stderr();
    if terminal.is_term() && Term::stdout().is_term() {
        terminal.write_str(&format!("Password of {given}: "))?;
        return Ok(Credentials::user(given, terminal.read_secure_line()?));
    }
    let mut password = String::new();
    io::stdin().lock().read_line(&mut password).context("read the password from standard input")?;
    Ok(Credentials::user(given, password.trim_end_matches(['\r', '\n'])))
}

/// The credentials for an endpoint, if this machine has any. A file that somebody named is the only one.
pub fn look_up(
    setup: &Setup<'_>,
    endpoint: &Endpoint,
    conf: &RegistriesConf,
) -> anyhow::Result<Option<Credentials>> {
    let Setup { environment, disk, limits, .. } = setup;
    let named = setup.args.authfile.as_ref().or(environment.auth_file.as_ref());
    let (files, sources) = if let Some(path) = named {
        let file = AuthFile::load(disk, path, limits)?;
        let file = file.with_context(|| format!("there is no file {}", path.display()))?;
        (vec![file], &[CredentialSource::AuthFiles][..])
    } else {
        let places = environment.places.auth_files();
        let files = places.iter().filter_map(|path| AuthFile::load(disk, path, limits).transpose());
        (files.collect::<Result<_, _>>()?, conf.credential_sources())
    };
    let runner = HelperRunner::new(&environment.search_path, limits);
    let control = setup.context.control()?;
    let ask = |request: &_| runner.ask(request, control);
    Ok(find_credentials(sources, &files, &endpoint.host, &endpoint.repository, &ask)?)
}
