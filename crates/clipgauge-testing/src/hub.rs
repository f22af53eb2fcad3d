//! A model hub on this machine: the part of the Hugging Face hub's interface that downloads need. Large files lie with
//! a second server, to which the first one sends with what it knows of them, as the real one does.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use percent_encoding::percent_decode_str;
use serde_json::json;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::{Reply, Request, Server};

/// Files with these endings lie with the second server.
const LARGE: &[&str] = &[".safetensors", ".bin", ".parquet"];

/// A hub. It stops when it is dropped.
pub struct Hub {
    front: Server,
    storage: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    storage_url: String,
    models: Vec<Model>,
    token: Option<String>,
    is_listed: bool,
    status: Option<u16>,
    ignores_ranges: bool,
    /// How many downloads of a file are still to go wrong.
    cuts: HashMap<String, usize>,
    tampers: HashMap<String, usize>,
    held: Option<String>,
}

struct Model {
    id: String,
    revision: String,
    commit: String,
    files: Vec<(String, Vec<u8>)>,
}

impl Hub {
    /// A hub without models.
    pub fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let (of_storage, of_front) = (Arc::clone(&state), Arc::clone(&state));
        let storage = Server::with(move |request| lock(&of_storage).store(request));
        lock(&state).storage_url = storage.url("");
        let front = Server::with(move |request| lock(&of_front).front(request));
        Self { front, storage, state }
    }

    /// The address to give as `HF_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        self.front.url("")
    }

    /// Adds a model, or puts its revision at other files. Gives the commit. A data set is `datasets/ORG/NAME`.
    pub fn add(&self, id: &str, revision: &str, files: &[(&str, &[u8])]) -> String {
        let files: Vec<_> = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
        let mut hasher = Sha1::new();
        for (name, bytes) in &files {
            hasher.update(name);
            hasher.update(bytes);
        }
        let commit = hex(&hasher.finalize());
        let model = Model { id: id.to_owned(), revision: revision.to_owned(), commit: commit.clone(), files };
        // The newest first: it has the revision, while older commits can still be asked for.
        lock(&self.state).models.insert(0, model);
        commit
    }

    /// Adds the files of a folder as a model with the revision `main`. Gives the commit.
    pub fn add_folder(&self, id: &str, folder: &Path) -> String {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).expect("a folder").flatten().filter(|entry| entry.path().is_file()) {
            let name = entry.file_name().into_string().expect("a UTF-8 name");
            files.push((name, fs::read(entry.path()).expect("a readable file")));
        }
        let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        self.add(id, "main", &files)
    }

    /// From now on only those see models that send this token.
    pub fn require_token(&self, token: &str) {
        lock(&self.state).token = Some(token.to_owned());
    }

    /// The lists of files may be seen by everybody, as those of gated data sets.
    pub fn show_lists(&self) {
        lock(&self.state).is_listed = true;
    }

    /// From now on, every answer of the hub is this status; `None` to end it.
    pub fn answer_with(&self, status: Option<u16>) {
        lock(&self.state).status = status;
    }

    /// The next so many downloads of a large file break off halfway.
    pub fn cut(&self, file: &str, times: usize) {
        lock(&self.state).cuts.insert(file.to_owned(), times);
    }

    /// The next so many downloads of a large file have a wrong byte.
    pub fn tamper(&self, file: &str, times: usize) {
        lock(&self.state).tampers.insert(file.to_owned(), times);
    }

    /// A large file is never sent: its downloads get no answer.
    pub fn hold(&self, file: &str) {
        lock(&self.state).held = Some(file.to_owned());
    }

    /// Large files are sent from the start, whatever part is asked for.
    pub fn ignore_ranges(&self) {
        lock(&self.state).ignores_ranges = true;
    }

    /// What the hub was asked.
    pub fn requests(&self) -> Vec<Request> {
        self.front.requests()
    }

    /// What the server with the large files was asked.
    pub fn storage_requests(&self) -> Vec<Request> {
        self.storage.requests()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.front.forget();
        self.storage.forget();
    }
}

impl State {
    fn front(&self, request: &Request) -> Reply {
        if let Some(status) = self.status {
            return Reply::status(status);
        }
        let path = unescaped(&request.path);
        let sent = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let is_open = self.is_listed && path.contains("/revision/");
        if self.token.is_some() && sent != self.token.as_deref() && !is_open {
            return Reply::status(401).header("x-error-code", "GatedRepo");
        }
        self.info(&path).or_else(|| self.resolve(&path)).unwrap_or_else(|| Reply::status(404))
    }

    /// `/api/models/ID/revision/REVISION`, `/api/datasets/…`
    fn info(&self, path: &str) -> Option<Reply> {
        let id_on = path.strip_prefix("/api/models/").or_else(|| path.strip_prefix("/api/"))?;
        let (id, revision) = id_on.split_once("/revision/")?;
        let model = self.model(id, revision)?;
        let siblings: Vec<_> = model.files.iter().map(|(name, _)| json!({ "rfilename": name })).collect();
        let info = json!({ "id": id, "sha": model.commit, "gated": false, "siblings": siblings });
        Some(Reply::ok(info.to_string()).header("content-type", "application/json"))
    }

    /// `/ID/resolve/REVISION/FILE`, and where that sends one with a small file.
    fn resolve(&self, path: &str) -> Option<Reply> {
        let is_final = path.starts_with("/api/resolve-cache/models/");
        let path = path.trim_start_matches("/api/resolve-cache/models").trim_start_matches('/');
        let (id, rest) = path.split_once("/resolve/")?;
        let (revision, file) = rest.split_once('/')?;
        let model = self.model(id, revision)?;
        let (_, bytes) = model.files.iter().find(|(name, _)| name == file)?;
        let etag = etag(file, bytes);
        let reply = if is_large(file) {
            let to = format!("{}/{id}/{}/{file}?signature=secret", self.storage_url, model.commit);
            Reply::redirect(to)
                .header("x-linked-size", bytes.len().to_string())
                .header("x-linked-etag", format!("\"{etag}\""))
                .header("etag", "\"of-the-redirect\"")
        } else if is_final {
            Reply::ok(bytes.clone()).header("etag", format!("W/\"{etag}\""))
        } else {
            Reply::redirect(format!("/api/resolve-cache/models/{id}/resolve/{}/{file}", model.commit))
        };
        Some(reply.header("x-repo-commit", &model.commit))
    }

    /// `/ID/COMMIT/FILE?…`
    fn store(&mut self, request: &Request) -> Reply {
        let path = unescaped(request.path.split('?').next().unwrap_or_default());
        let found = self.models.iter().find_map(|model| {
            let file = path.strip_prefix(&format!("/{}/{}/", model.id, model.commit))?;
            model.files.iter().find(|(name, _)| name == file)
        });
        let Some((file, mut bytes)) = found.cloned() else { return Reply::status(404) };
        if self.held.as_ref() == Some(&file) {
            return Reply::stall();
        }
        if takes_one(&mut self.tampers, &file) {
            bytes[0] ^= 1;
        }
        let total = bytes.len();
        let start =
            request.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let (mut reply, sent) = match start {
            Some(start) if !self.ignores_ranges && start < total => {
                let reply = Reply::part(bytes.split_off(start));
                let range = format!("bytes {start}-{}/{total}", total - 1);
                (reply.header("content-range", range), total - start)
            }
            Some(_) if !self.ignores_ranges => return Reply::status(416),
            _ => (Reply::ok(bytes), total),
        };
        if takes_one(&mut self.cuts, &file) {
            reply = reply.cut_after(sent / 2);
        }
        reply
    }

    fn model(&self, id: &str, revision: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.id == id && (model.revision == revision || model.commit == revision))
    }
}

fn takes_one(times: &mut HashMap<String, usize>, file: &str) -> bool {
    match times.get_mut(file) {
        Some(left @ 1..) => {
            *left -= 1;
            true
        }
        _ => false,
    }
}

fn unescaped(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

fn is_large(file: &str) -> bool {
    LARGE.iter().any(|ending| file.ends_with(ending))
}

/// What the hub calls contents: by their SHA-256 if they are large, else by the id that git gives them.
fn etag(file: &str, bytes: &[u8]) -> String {
    if is_large(file) {
        return hex(&Sha256::digest(bytes));
    }
    hex(&Sha1::new_with_prefix(format!("blob {}\0", bytes.len())).chain_update(bytes).finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no handler has panicked")
}
