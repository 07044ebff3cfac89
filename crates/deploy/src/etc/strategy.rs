//! Who wins where machine and image changed the same thing: by kind of conflict, for all of `/etc`, or by path.
//!
//! Rules for paths are prefixes of whole components; the longest that fits decides, and of two equal ones the later.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::ConflictKind;
use crate::DeployError;

/// What is done about a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EtcStrategy {
    /// Nothing is deployed.
    Fail,
    /// The machine's side stays.
    KeepLocal,
    /// The new image's side comes.
    TakeImage,
}

impl EtcStrategy {
    const ALL: [Self; 3] = [Self::Fail, Self::KeepLocal, Self::TakeImage];

    /// `fail`, `keep-local` or `take-image`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::KeepLocal => "keep-local",
            Self::TakeImage => "take-image",
        }
    }
}

impl fmt::Display for EtcStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EtcStrategy {
    type Err = DeployError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == text).ok_or_else(|| DeployError::Invalid {
            what: "strategy",
            text: text.to_owned(),
            reason: "fail, keep-local or take-image".into(),
        })
    }
}

/// A strategy for all of `/etc`, `STRATEGY`, or for a path and what is below it, `PATH=STRATEGY`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrategyRule {
    /// The path, from `/etc` on; nothing for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What is done there.
    pub strategy: EtcStrategy,
}

impl FromStr for StrategyRule {
    type Err = DeployError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((path, strategy)) = text.rsplit_once('=') else {
            return Ok(Self { path: None, strategy: text.parse()? });
        };
        let is_path = path.strip_prefix("/etc/").is_some_and(|rest| {
            rest.trim_end_matches('/').split('/').all(|name| !matches!(name, "" | "." | ".."))
        });
        if !is_path {
            let reason = "a path is written from /etc/ on, as in /etc/ssh=take-image".into();
            return Err(DeployError::Invalid { what: "strategy", text: text.to_owned(), reason });
        }
        let path = Some(path.trim_end_matches('/').to_owned());
        Ok(Self { path, strategy: strategy.parse()? })
    }
}

/// The strategies of one merge. Without any rule, type conflicts fail and the machine wins all others, as with bootc.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcPolicy {
    /// The caller's rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<StrategyRule>,
}

impl EtcPolicy {
    /// Whether it has no rules.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.rules.is_empty()
    }

    /// The same with more rules, which go over those for the same path.
    #[must_use]
    pub fn with(&self, more: &Self) -> Self {
        let is_said_again = |rule: &&StrategyRule| more.rules.iter().any(|other| other.path == rule.path);
        let kept = self.rules.iter().filter(|rule| !is_said_again(rule));
        Self { rules: kept.chain(&more.rules).cloned().collect() }
    }

    /// What is done about a conflict at a path. `asked` are paths of overlays that this very deployment adds: somebody
    /// wants them there now, so that they win unless a rule for a path says otherwise.
    pub(super) fn decide(&self, path: &[u8], kind: ConflictKind, asked: &BTreeSet<Vec<u8>>) -> EtcStrategy {
        let fits = |prefix: &str| {
            let rest = path.strip_prefix(prefix.as_bytes());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        let of_path = self.rules.iter().filter_map(|rule| Some((rule.path.as_deref()?, rule.strategy)));
        let longest = of_path.filter(|(prefix, _)| fits(prefix)).max_by_key(|(prefix, _)| prefix.len());
        if let Some((_, strategy)) = longest {
            return strategy;
        }
        if asked.contains(path) {
            return EtcStrategy::TakeImage;
        }
        let of_all = self.rules.iter().rev().find(|rule| rule.path.is_none());
        of_all.map_or(
            if kind == ConflictKind::Type { EtcStrategy::Fail } else { EtcStrategy::KeepLocal },
            |rule| rule.strategy,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_path_decides_and_then_the_rule_for_all() {
        let rules = ["take-image", "/etc/ssh=fail", "/etc/ssh/keys/=keep-local"];
        let rules = rules.map(|rule| rule.parse().unwrap()).to_vec();
        let strategies = EtcPolicy { rules };
        let decide =
            |path: &str| strategies.decide(path.as_bytes(), ConflictKind::BothChanged, &BTreeSet::new());
        assert_eq!(decide("/etc/fstab"), EtcStrategy::TakeImage);
        assert_eq!(decide("/etc/ssh"), EtcStrategy::Fail);
        assert_eq!(decide("/etc/ssh/sshd_config"), EtcStrategy::Fail);
        assert_eq!(decide("/etc/ssh/keys/rsa"), EtcStrategy::KeepLocal);
        assert_eq!(decide("/etc/ssh2"), EtcStrategy::TakeImage);
    }

    #[test]
    fn what_is_said_later_goes_over_what_was_said_of_the_same_path_and_the_rest_stays() {
        let policy =
            |rules: &[&str]| EtcPolicy { rules: rules.iter().map(|rule| rule.parse().unwrap()).collect() };
        let before = policy(&["fail", "/etc/ssh=keep-local"]);
        assert_eq!(before.with(&policy(&["take-image"])), policy(&["/etc/ssh=keep-local", "take-image"]));
        assert_eq!(before.with(&EtcPolicy::default()), before);
        assert_eq!(before.with(&before), before);
    }

    #[test]
    fn without_rules_the_machine_wins_but_for_types_and_what_is_asked_for_now() {
        let strategies = EtcPolicy::default();
        let asked = BTreeSet::from([b"/etc/hostname".to_vec()]);
        assert_eq!(strategies.decide(b"/etc/a", ConflictKind::BothChanged, &asked), EtcStrategy::KeepLocal);
        assert_eq!(strategies.decide(b"/etc/a", ConflictKind::Type, &asked), EtcStrategy::Fail);
        assert_eq!(strategies.decide(b"/etc/hostname", ConflictKind::Type, &asked), EtcStrategy::TakeImage);
    }

    #[test]
    fn a_rule_that_is_none_is_refused() {
        for text in ["", "keep", "/usr/x=fail", "etc/x=fail", "/etc/../x=fail", "/etc/=fail", "/etc/x=never"]
        {
            assert!(text.parse::<StrategyRule>().is_err(), "{text}");
        }
    }
}
