//! The profile of AWS's shared files: `~/.aws/credentials` and `~/.aws/config`, as `aws configure` writes them. Of it,
//! keys, region and endpoint are read; what has to be run or signed in to first (SSO, roles, processes) is left to the
//! `aws` command, which can export its result.

use std::path::PathBuf;
use std::{env, fs, io};

/// What a profile says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Profile {
    pub(super) access_key_id: Option<String>,
    pub(super) secret_access_key: Option<String>,
    pub(super) session_token: Option<String>,
    pub(super) region: Option<String>,
    pub(super) endpoint_url: Option<String>,
    /// What its keys come from that is not supported.
    needs: Option<&'static str>,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProfileError {
    #[error(
        "the AWS profile `{name}` gets its keys by {by}; run `eval \"$(aws configure export-credentials --profile {name} --format env)\"` first"
    )]
    NoKeys { name: String, by: &'static str },
    #[error("there is no AWS profile `{name}`; AWS_PROFILE names one that is in ~/.aws")]
    Missing { name: String },
    #[error("{} cannot be read", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Profile {
    /// The profile that `AWS_PROFILE` names, or the default one if there is one. `wants_keys` says whether nothing else
    /// has any.
    pub(super) fn from_env(wants_keys: bool) -> Result<Option<Self>, ProfileError> {
        let named = env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty());
        let name = named.as_deref().unwrap_or("default");
        let mut found = None;
        for (variable, file, is_config) in
            [("AWS_CONFIG_FILE", "config", true), ("AWS_SHARED_CREDENTIALS_FILE", "credentials", false)]
        {
            let Some(path) = env::var_os(variable).map(PathBuf::from).or_else(|| Some(folder()?.join(file))) else {
                continue;
            };
            match fs::read_to_string(&path) {
                Ok(text) => {
                    if let Some(section) = section(&text, name, is_config) {
                        found.get_or_insert_with(Self::default).merge(&section);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(ProfileError::Read { path, source }),
            }
        }
        match (&found, &named) {
            (None, Some(name)) => Err(ProfileError::Missing { name: name.clone() }),
            (Some(Self { needs: Some(by), access_key_id: None, .. }), _) if wants_keys => {
                Err(ProfileError::NoKeys { name: name.to_owned(), by })
            }
            _ => Ok(found),
        }
    }

    /// What is said later counts.
    fn merge(&mut self, section: &[(String, String)]) {
        for (key, value) in section {
            let value = || Some(value.clone());
            match key.as_str() {
                "aws_access_key_id" => self.access_key_id = value(),
                "aws_secret_access_key" => self.secret_access_key = value(),
                "aws_session_token" => self.session_token = value(),
                "region" => self.region = value(),
                "endpoint_url" => self.endpoint_url = value(),
                "sso_session" | "sso_start_url" => self.needs = Some("signing in (SSO)"),
                "role_arn" => self.needs = Some("assuming a role"),
                "credential_process" => self.needs = Some("running a process"),
                _ => {}
            }
        }
    }
}

fn folder() -> Option<PathBuf> {
    env::home_dir().map(|home| home.join(".aws"))
}

/// The settings of a profile in one of the files; `None` if it is not there. Nested settings (indented) are left out.
fn section(text: &str, profile: &str, is_config: bool) -> Option<Vec<(String, String)>> {
    let mut found = None;
    let mut is_inside = false;
    for line in text.lines().filter(|line| !line.trim_start().starts_with(['#', ';'])) {
        if let Some(header) = line.trim().strip_prefix('[').and_then(|line| line.split_once(']')) {
            let header = header.0.trim();
            // In the config file, all but the default one are called `profile NAME`.
            let named = match header.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t'])) {
                Some(name) if is_config => name.trim(),
                None if is_config && header != "default" => "",
                _ => header,
            };
            is_inside = !named.is_empty() && named.trim_matches(['"', '\'']) == profile;
            if is_inside {
                found.get_or_insert_with(Vec::new);
            }
        } else if let (true, Some((key, value))) = (is_inside, line.split_once('='))
            && !line.starts_with([' ', '\t'])
        {
            let settings = found.get_or_insert_with(Vec::new);
            settings.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "\
# of the company
[default]
region = eu-west-1
s3 =
    endpoint_url = http://nested.example
[profile work]
region=us-west-2
endpoint_url = http://minio.example:9000
; role_arn = commented
[profile single]
sso_session = company
[work]
region = not-this-one
";

    const CREDENTIALS: &str = "\
[default]
aws_access_key_id = A
aws_secret_access_key = a/b+c=
[work]
AWS_ACCESS_KEY_ID = W
aws_secret_access_key=w
aws_session_token = t
";

    fn profile(name: &str) -> Profile {
        let mut profile = Profile::default();
        for (text, is_config) in [(CONFIG, true), (CREDENTIALS, false)] {
            profile.merge(&section(text, name, is_config).unwrap_or_default());
        }
        profile
    }

    #[test]
    fn profiles_are_told_apart() {
        let text = |text: &str| Some(text.to_owned());
        let default = profile("default");
        assert_eq!((default.access_key_id, default.secret_access_key), (text("A"), text("a/b+c=")));
        assert_eq!((default.region, default.endpoint_url, default.session_token), (text("eu-west-1"), None, None));
        let work = profile("work");
        assert_eq!((work.access_key_id, work.secret_access_key, work.session_token), (text("W"), text("w"), text("t")));
        assert_eq!((work.region, work.endpoint_url), (text("us-west-2"), text("http://minio.example:9000")));
        assert_eq!(work.needs, None);
        assert_eq!(profile("single").needs, Some("signing in (SSO)"));
        assert_eq!(profile("other"), Profile::default());
        assert_eq!(section(CREDENTIALS, "other", false), None);
    }
}
