use std::collections::HashSet;
use std::thread;

use super::*;

fn key(number: u64) -> Key {
    Key::new(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

fn vector(number: u64) -> Vec<f32> {
    (0..128).map(|index| (number * 1000 + index) as f32 / 7.0).collect()
}

/// The vector as it is kept of a picture.
fn kept(number: u64) -> Kept {
    Kept { vector: vector(number), size: size(number) }
}

/// How wide and high the picture of a vector is; every third is a text's.
fn size(number: u64) -> Option<[u32; 2]> {
    (!number.is_multiple_of(3)).then_some([number as u32, 7])
}

fn put(cache: &DiskCache, number: u64) {
    cache.put(&key(number), &vector(number), size(number));
}

fn cache(folder: &Path, max_bytes: u64) -> DiskCache {
    DiskCache::open(&CacheOptions { folder: folder.to_owned(), max_bytes }).expect("a cache")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(folder.join(VERSION)).expect("readable").map(|entry| entry.expect("an entry").path());
    let files = folders.filter(|path| path.is_dir()).flat_map(|folder| fs::read_dir(folder).expect("readable"));
    files.map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn what_is_kept_is_there_for_the_next_run_bit_for_bit() {
    let folder = tempfile::tempdir().expect("a folder");
    let odd = vec![0.1, -0.0, f32::MIN_POSITIVE / 2.0, f32::INFINITY, f32::from_bits(0x7fc0_1234)];
    let first = cache(folder.path(), DEFAULT_CACHE_BYTES);
    assert_eq!(first.get(&key(1)), None);
    first.put(&key(1), &odd, None);
    put(&first, 2);
    let next = cache(folder.path(), DEFAULT_CACHE_BYTES);
    let bits = |vector: &[f32]| vector.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&next.get(&key(1)).expect("kept").vector), bits(&odd));
    assert_eq!(next.get(&key(2)), Some(kept(2)));
    assert_eq!(next.get(&key(3)), None);
    assert!(folder.path().join("CACHEDIR.TAG").is_file());
}

#[test]
fn a_damaged_file_is_a_miss_and_is_written_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = cache(folder.path(), DEFAULT_CACHE_BYTES);
    put(&cache, 1);
    let [path] = files(folder.path()).try_into().expect("one file");
    let whole = fs::read(&path).expect("readable");
    let mut damaged: Vec<Vec<u8>> = (0..whole.len()).step_by(17).map(|end| whole[..end].to_vec()).collect();
    damaged.extend((0..whole.len()).step_by(13).map(|place| {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        bytes
    }));
    damaged.push([whole.as_slice(), b"x"].concat());
    damaged.push(vec![0; whole.len()]);
    damaged.push(Vec::new());
    // Whole, but of another key.
    damaged.push(format(&key(2), &vector(1), size(1)));
    for (index, bytes) in damaged.into_iter().enumerate() {
        fs::write(&path, bytes).expect("writable");
        assert_eq!(cache.get(&key(1)), None, "{index}");
        put(&cache, 1);
        assert_eq!(cache.get(&key(1)), Some(kept(1)), "{index}");
    }
}

#[test]
fn the_size_is_bounded_and_what_was_used_last_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = cache(folder.path(), MIN_CACHE_BYTES);
    let favourite = key(0);
    put(&cache, 0);
    let size = || files(folder.path()).iter().map(|path| on_disk(path.metadata().expect("there").len())).sum::<u64>();
    // Twice what fits; all others are older than the favourite.
    let old = SystemTime::now() - 3 * USE_GRAIN;
    for number in 1..=2 * MIN_CACHE_BYTES / DISK_BLOCK {
        let key = key(number);
        put(&cache, number);
        let (index, name) = key.place();
        if let Ok(file) = File::options().write(true).open(cache.folder_path(index).join(name)) {
            file.set_times(FileTimes::new().set_modified(old)).expect("settable");
        }
    }
    assert!(size() <= MIN_CACHE_BYTES, "{}", size());
    assert!(size() > MIN_CACHE_BYTES / 2, "{}", size());
    assert_eq!(cache.get(&favourite), Some(kept(0)));
}

#[test]
fn use_is_noted() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = cache(folder.path(), DEFAULT_CACHE_BYTES);
    put(&cache, 1);
    let [path] = files(folder.path()).try_into().expect("one file");
    let old = SystemTime::now() - 3 * USE_GRAIN;
    File::options().write(true).open(&path).and_then(|file| file.set_modified(old)).expect("settable");
    assert!(cache.get(&key(1)).is_some());
    assert!(path.metadata().and_then(|metadata| metadata.modified()).expect("a time") > old + USE_GRAIN);
}

#[test]
fn several_runs_at_once_do_each_other_no_harm() {
    let folder = tempfile::tempdir().expect("a folder");
    let seen: Vec<HashSet<u64>> = thread::scope(|scope| {
        let run = |shift: u64| {
            let cache = cache(folder.path(), MIN_CACHE_BYTES);
            let mut seen = HashSet::new();
            for round in 0..3000 {
                let number = (round * 7 + shift * 13) % 500;
                match cache.get(&key(number)) {
                    Some(found) => {
                        assert_eq!(found, kept(number));
                        seen.insert(number);
                    }
                    None => put(&cache, number),
                }
            }
            seen
        };
        let runs: Vec<_> = (0..4).map(|shift| scope.spawn(move || run(shift))).collect();
        runs.into_iter().map(|run| run.join().expect("no panic")).collect()
    });
    assert!(seen.iter().all(|seen| seen.len() > 400), "{:?}", seen.iter().map(HashSet::len).collect::<Vec<_>>());
}

#[test]
fn unfinished_files_of_killed_runs_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = cache(folder.path(), DEFAULT_CACHE_BYTES);
    let (index, _) = key(1).place();
    fs::create_dir_all(cache.folder_path(index)).expect("creatable");
    let left = cache.folder_path(index).join(".tmp-abc");
    fs::write(&left, "half").expect("writable");
    let old = SystemTime::now() - 3 * USE_GRAIN;
    File::options().write(true).open(&left).and_then(|file| file.set_modified(old)).expect("settable");
    put(&cache, 1);
    assert!(!left.exists());
}

#[test]
fn what_cannot_be_a_cache_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |folder: PathBuf, max_bytes| DiskCache::open(&CacheOptions { folder, max_bytes }).map(drop);
    let small = open(folder.path().join("small"), MIN_CACHE_BYTES - 1).expect_err("too small");
    assert!(small.is_usage() && small.to_string().contains("--cache-size"), "{small}");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("writable");
    let taken = open(file, DEFAULT_CACHE_BYTES).expect_err("a file");
    assert!(!taken.is_usage() && taken.to_string().contains("cannot be used"), "{taken}");
}
