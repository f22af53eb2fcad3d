//! A client for one bucket, set up from the environment variables that the services' own tools read.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::CredentialProvider;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ClientOptions, ObjectStore, RetryConfig};

use super::aws_profile::{Profile, ProfileError};
use super::service::Connector;
use super::url::{ObjectService, ObjectUrl};

/// How long a machine of the service's own is given to tell its credentials. Elsewhere nobody answers there.
const METADATA_PATIENCE: Duration = Duration::from_secs(2);

/// What clients are made with.
#[derive(Debug)]
pub(super) struct ClientSettings {
    pub(super) connector: Connector,
    pub(super) retry: RetryConfig,
    pub(super) anonymous: bool,
}

/// Why there is no client for a bucket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error(transparent)]
    Store(#[from] object_store::Error),
}

impl ClientSettings {
    /// A client for the bucket of `url`, in a region other than the configured one if that is given.
    pub(super) async fn client(
        &self,
        url: &ObjectUrl,
        region: Option<&str>,
    ) -> Result<Arc<dyn ObjectStore>, ClientError> {
        match url.service() {
            ObjectService::S3 => self.s3(url, region).await,
            ObjectService::Google => self.google(url).await,
            ObjectService::Azure => self.azure(url).await,
        }
    }

    async fn s3(&self, url: &ObjectUrl, region: Option<&str>) -> Result<Arc<dyn ObjectStore>, ClientError> {
        use AmazonS3ConfigKey as Key;
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(url.bucket())
            .with_http_connector(self.connector.clone())
            .with_retry(self.retry.clone())
            .with_client_options(options());
        let has = |builder: &AmazonS3Builder, key| builder.get_config_value(&key).is_some();
        let is_anonymous = self.anonymous || is_true(builder.get_config_value(&Key::SkipSignature));
        let has_keys = has(&builder, Key::AccessKeyId) || has(&builder, Key::SecretAccessKey);
        if let Some(profile) = Profile::from_env(!has_keys && !is_anonymous)? {
            for (key, value, is_set) in [
                (Key::AccessKeyId, profile.access_key_id, has_keys),
                (Key::SecretAccessKey, profile.secret_access_key, has_keys),
                (Key::Token, profile.session_token, has_keys),
                (Key::Region, profile.region, has(&builder, Key::Region)),
                (Key::Endpoint, profile.endpoint_url, has(&builder, Key::Endpoint) || has(&builder, Key::S3Endpoint)),
            ] {
                if let Some(value) = value.filter(|_| !is_set) {
                    builder = builder.with_config(key, value);
                }
            }
        }
        if let Some(region) = region {
            builder = builder.with_region(region);
        }
        let is_configured = [
            Key::AccessKeyId,
            Key::WebIdentityTokenFile,
            Key::ContainerCredentialsRelativeUri,
            Key::ContainerCredentialsFullUri,
        ]
        .into_iter()
        .any(|key| has(&builder, key));
        let is_alone = is_true(env::var("AWS_EC2_METADATA_DISABLED").ok());
        if !is_anonymous {
            let store = builder.clone().build()?;
            if is_configured || (!is_alone && are_there(&**store.credentials()).await) {
                return Ok(Arc::new(store));
            }
            tell_anonymous(url);
        }
        Ok(Arc::new(builder.with_skip_signature(true).build()?))
    }

    async fn google(&self, url: &ObjectUrl) -> Result<Arc<dyn ObjectStore>, ClientError> {
        use GoogleConfigKey as Key;
        let builder = GoogleCloudStorageBuilder::from_env()
            .with_bucket_name(url.bucket())
            .with_http_connector(self.connector.clone())
            .with_retry(self.retry.clone())
            .with_client_options(options());
        let value = |key| builder.get_config_value(&key);
        if !(self.anonymous || is_true(value(Key::SkipSignature))) {
            let keys = [Key::ServiceAccount, Key::ServiceAccountKey, Key::ApplicationCredentials];
            let is_configured = keys.into_iter().any(|key| value(key).is_some()) || has_google_login();
            let store = builder.clone().build()?;
            if is_configured || are_there(&**store.credentials()).await {
                return Ok(Arc::new(store));
            }
            tell_anonymous(url);
        }
        Ok(Arc::new(builder.with_skip_signature(true).build()?))
    }

    async fn azure(&self, url: &ObjectUrl) -> Result<Arc<dyn ObjectStore>, ClientError> {
        use AzureConfigKey as Key;
        let builder = MicrosoftAzureBuilder::from_env()
            .with_url(url.root())
            .with_http_connector(self.connector.clone())
            .with_retry(self.retry.clone())
            .with_client_options(options());
        let value = |key| builder.get_config_value(&key);
        if !(self.anonymous || is_true(value(Key::SkipSignature))) {
            let keys =
                [Key::AccessKey, Key::SasKey, Key::Token, Key::ClientId, Key::FederatedTokenFile, Key::MsiEndpoint];
            let is_configured = keys.into_iter().any(|key| value(key).is_some())
                || [Key::UseAzureCli, Key::UseEmulator].into_iter().any(|key| is_true(value(key)));
            let store = builder.clone().build()?;
            if is_configured || are_there(&**store.credentials()).await {
                return Ok(Arc::new(store));
            }
            tell_anonymous(url);
        }
        Ok(Arc::new(builder.with_skip_signature(true).build()?))
    }
}

/// Plain HTTP is for whoever names an endpoint that speaks nothing else.
fn options() -> ClientOptions {
    ClientOptions::new().with_allow_http(true)
}

fn is_true(value: Option<String>) -> bool {
    value.is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on"))
}

/// Whether there are credentials where nobody has configured any: on a machine of the service's own.
async fn are_there<C>(provider: &dyn CredentialProvider<Credential = C>) -> bool {
    tokio::time::timeout(METADATA_PATIENCE, provider.get_credential()).await.is_ok_and(|found| found.is_ok())
}

fn tell_anonymous(url: &ObjectUrl) {
    tracing::info!(bucket = url.root(), "there are no credentials: requests are not signed, as for public buckets");
}

/// Whether somebody has signed in with `gcloud auth application-default login`.
fn has_google_login() -> bool {
    let place = if cfg!(windows) {
        env::var_os("APPDATA").map(|data| PathBuf::from(data).join("gcloud"))
    } else {
        env::home_dir().map(|home| home.join(".config/gcloud"))
    };
    place.is_some_and(|place| place.join("application_default_credentials.json").is_file())
}
