//! A real S3 server on this machine: s3s with its file system, which checks signatures and puts parts together. Its
//! bucket `public` can be read by everybody.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s::{S3Result, s3_error};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The bucket that can be read without a signature.
pub const PUBLIC: &str = "public";

/// A server with two buckets, [`Store::BUCKET`] and [`PUBLIC`]. It stops when it is dropped.
pub struct Store {
    folder: TempDir,
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    _runtime: Runtime,
}

impl Store {
    /// The bucket whose requests have to be signed.
    pub const BUCKET: &str = "bucket";
    /// The one access key.
    pub const ACCESS_KEY: &str = "an-access-key";
    /// What it signs with.
    pub const SECRET_KEY: &str = "a/secret+key=";

    /// Starts the server.
    pub fn start() -> Self {
        let folder = TempDir::new().expect("a folder for the buckets");
        for bucket in [Self::BUCKET, PUBLIC] {
            fs::create_dir(folder.path().join(bucket)).expect("a bucket");
        }
        let mut builder = S3ServiceBuilder::new(FileSystem::new(folder.path()).expect("a folder"));
        builder.set_auth(SimpleAuth::from_single(Self::ACCESS_KEY, Self::SECRET_KEY));
        builder.set_access(Access);
        let service = builder.build();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let noted = Arc::clone(&requests);
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (service, noted) = (service.clone(), Arc::clone(&noted));
                let noting = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let range = request.headers().get("range").and_then(|range| range.to_str().ok());
                    let range = range.map_or_else(String::new, |range| format!(" {range}"));
                    let line = format!("{} {}{range}", request.method(), request.uri());
                    noted.lock().expect("no panic").push(line);
                    Service::call(&service, request)
                });
                tokio::spawn(async move {
                    // A client that goes away is what some tests are about.
                    let _ =
                        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), noting).await;
                });
            }
        });
        Self { folder, address, requests, _runtime: runtime }
    }

    /// The address to give as `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The environment variables of somebody who may do everything here.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", Self::ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", Self::SECRET_KEY.to_owned()),
            ("AWS_REGION", "eu-test-1".to_owned()),
        ]
    }

    /// Puts an object into a bucket.
    pub fn put(&self, bucket: &str, key: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(bucket, key);
        fs::create_dir_all(path.parent().expect("below a bucket")).expect("creatable");
        fs::write(path, bytes).expect("writable");
    }

    /// The content of an object, if it is there.
    pub fn get(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        fs::read(self.path(bucket, key)).ok()
    }

    /// How many parts of unfinished objects there are.
    pub fn parts(&self) -> usize {
        let is_part = |name: &str| name.starts_with(".upload_id-") || name.contains(".upload-");
        let entries = fs::read_dir(self.folder.path()).expect("readable").flatten();
        entries.filter(|entry| entry.file_name().to_str().is_some_and(is_part)).count()
    }

    /// The requests so far, each with its method, its path and query, and its range if it has one.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic").clone()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.requests.lock().expect("no panic").clear();
    }

    fn path(&self, bucket: &str, key: &str) -> PathBuf {
        self.folder.path().join(bucket).join(Path::new(key))
    }
}

/// Who may do what.
struct Access;

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let is_public = context.s3_path().get_bucket_name() == Some(PUBLIC);
        let reads = matches!(context.s3_op().name(), "GetObject" | "HeadObject" | "ListObjectsV2");
        if context.credentials().is_some() || (is_public && reads) {
            return Ok(());
        }
        Err(s3_error!(AccessDenied, "a signature is needed"))
    }
}
