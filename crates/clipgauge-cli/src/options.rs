//! From the flags to what the library takes.

use std::path::Path;

use anyhow::anyhow;
use clipgauge::compare::CompareOptions;
use clipgauge::core::decode::DecodeOptions;
use clipgauge::disk_cache::CacheOptions;
use clipgauge::embed::{EmbedOptions, VectorLayout};
use clipgauge::inputs;
use clipgauge::objects::ObjectOptions;
use clipgauge::options::{Input, Output, ResumeOptions, ScoreOptions};
use clipgauge::source::FetchOptions;
use clipgauge::vectors::DEFAULT_PART_ROWS;

use crate::args::{
    CacheArgs, CompareArgs, EmbedArgs, EmbedFormat, FetchArgs, InputArgs, OutputArgs, PictureArgs, ScoreArgs,
};
use crate::exit::Usage;

/// What the flags of `clipgauge score` say, or which of its inputs there are not.
pub(crate) fn score_options(args: ScoreArgs) -> Result<ScoreOptions, anyhow::Error> {
    let input = input_of(&args.inputs, &fetch_options(&args.fetch))?;
    Ok(score_options_for(input, args))
}

/// What the flags of `clipgauge score` say about this input, whatever they say of one.
pub(crate) fn score_options_for(input: Input, args: ScoreArgs) -> ScoreOptions {
    let ScoreArgs { inputs: _, output, resume, columns, filters, saving, model, fetch, pictures, report } = args;
    ScoreOptions {
        input,
        delimiter: output.delimiter,
        format: output.format,
        output: place(&output),
        image_column: columns.read.image_column,
        caption_column: columns.read.caption_column,
        column: columns.column,
        overwrite: columns.overwrite,
        error_column: columns.error_column,
        errors: report.errors,
        summary: report.summary,
        models: model.models,
        metrics: model.metrics,
        canonicalize_captions: model.work.canonicalize_captions,
        threads: model.work.threads,
        batch_size: model.work.batch_size,
        precision: model.work.precision.precision,
        fetch: fetch_options(&fetch),
        decode: decode_options(&pictures),
        cache: cache_options(model.work.cache),
        resume: ResumeOptions { resume: resume.resume, retry_failed: resume.retry_failed },
        shard: resume.shard,
        filters: filters.filters(),
        diagnostics: columns.diagnostics,
        save_images: saving.save_images(),
    }
}

/// What the flags of `clipgauge compare` say.
pub(crate) fn compare_options(args: &CompareArgs) -> CompareOptions {
    CompareOptions {
        models: args.model.models.clone(),
        metrics: args.model.metrics.clone(),
        canonicalize_captions: args.model.canonicalize_captions,
        precision: args.model.precision.precision,
        fetch: fetch_options(&args.fetch),
        decode: decode_options(&args.pictures),
    }
}

/// What the flags of `clipgauge embed` say, or which do not go together.
pub(crate) fn embed_options(args: EmbedArgs) -> Result<EmbedOptions, anyhow::Error> {
    let EmbedArgs { inputs, output, columns, model, fetch, pictures, report } = args;
    let layout = match output.format {
        EmbedFormat::Parquet => {
            let npy_flags = [("--dtype", output.dtype.is_some()), ("--part-rows", output.part_rows.is_some())];
            if let Some((flag, _)) = npy_flags.iter().find(|(_, is_given)| *is_given) {
                return Err(
                    Usage(anyhow!("{flag} says how arrays are written; leave it away, or use --format npy")).into()
                );
            }
            VectorLayout::Parquet { normalize: output.normalize }
        }
        EmbedFormat::Npy => VectorLayout::Npy {
            element: output.dtype.unwrap_or_default(),
            part_rows: output.part_rows.unwrap_or(DEFAULT_PART_ROWS),
        },
    };
    let fetch = fetch_options(&fetch);
    let input = input_of(&inputs, &fetch)?;
    Ok(EmbedOptions {
        layout,
        delimiter: output.delimiter,
        format: output.input_format,
        image_column: columns.read.image_column,
        caption_column: columns.read.caption_column,
        overwrite: columns.overwrite,
        error_column: columns.error_column,
        errors: report.errors,
        summary: report.summary,
        model: model.model,
        canonicalize_captions: model.work.canonicalize_captions,
        threads: model.work.threads,
        batch_size: model.work.batch_size,
        precision: model.work.precision.precision,
        fetch,
        decode: decode_options(&pictures),
        cache: cache_options(model.work.cache),
        ..EmbedOptions::new(input, output.output)
    })
}

fn input_of(args: &InputArgs, fetch: &FetchOptions) -> Result<Input, anyhow::Error> {
    inputs::expand(&args.inputs, fetch).map_err(|error| match error.is_usage() {
        true => Usage(error.into()).into(),
        false => error.into(),
    })
}

fn fetch_options(args: &FetchArgs) -> FetchOptions {
    FetchOptions {
        concurrency: args.concurrency.get(),
        per_host: args.per_host.get(),
        per_host_interval: args.per_host_interval.unwrap_or_default(),
        host_failures: args.host_failures,
        timeout: args.timeout,
        connect_timeout: args.connect_timeout,
        retries: args.retries,
        max_bytes: args.max_bytes,
        headers: args.headers.clone(),
        user_agent: args.user_agent.clone(),
        ignore_opt_outs: args.ignore_opt_outs,
        objects: ObjectOptions { anonymous: args.objects.no_sign_request },
        ..FetchOptions::default()
    }
}

fn decode_options(args: &PictureArgs) -> DecodeOptions {
    DecodeOptions { max_pixels: args.max_pixels, apply_orientation: !args.ignore_exif, background: args.background }
}

fn cache_options(args: CacheArgs) -> Option<CacheOptions> {
    let CacheArgs { cache, cache_size: max_bytes } = args;
    cache.map(|folder| CacheOptions { folder, max_bytes })
}

/// Where the table goes.
pub(crate) fn place(args: &OutputArgs) -> Output {
    match &args.output {
        _ if args.in_place => Output::InPlace,
        Some(path) if !is_dash(path) => Output::at(path.clone()),
        Some(_) | None => Output::Stdout,
    }
}

fn is_dash(path: &Path) -> bool {
    path == Path::new("-")
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroUsize};
    use std::time::Duration;

    use clap::Parser;
    use clipgauge::filters::{Filters, PictureLimits, Sample};
    use clipgauge::options::{Precision, SaveImages, TableFormat};

    use super::*;
    use crate::args::{Cli, Command};

    fn options(flags: &[&str]) -> ScoreOptions {
        let cli = Cli::try_parse_from(["clipgauge", "score"].iter().chain(flags)).expect("flags");
        match cli.command {
            Command::Score(args) => score_options(*args).expect("inputs"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_are_those_of_the_library() {
        let library = ScoreOptions::new(Input::File("in.csv".into()));
        assert_eq!(format!("{:?}", options(&["in.csv"])), format!("{library:?}"));
    }

    #[test]
    fn defaults_of_compare_are_those_of_the_library() {
        let cli = Cli::try_parse_from(["clipgauge", "compare", "a.png", "b.png"]).expect("flags");
        let Command::Compare(args) = cli.command else { panic!("{:?}", cli.command) };
        assert_eq!(format!("{:?}", compare_options(&args)), format!("{:?}", CompareOptions::default()));
    }

    #[test]
    fn defaults_of_embed_are_those_of_the_library() {
        let options = |flags: &[&str]| {
            let command = ["clipgauge", "embed", "in.csv", "-o", "out"];
            match Cli::try_parse_from(command.iter().chain(flags)).expect("flags").command {
                Command::Embed(args) => embed_options(*args),
                other => panic!("{other:?}"),
            }
        };
        let library = EmbedOptions::new(Input::File("in.csv".into()), "out".into());
        assert_eq!(format!("{:?}", options(&[]).expect("options")), format!("{library:?}"));
        assert_eq!(options(&["--format=npy"]).expect("options").layout, VectorLayout::NPY);
        assert!(options(&["--dtype=f32"]).is_err() && options(&["--part-rows=5"]).is_err());
    }

    #[test]
    fn a_dash_is_a_standard_stream() {
        let options = options(&["-", "-o", "-"]);
        assert_eq!((options.input, options.output), (Input::Stdin, Output::Stdout));
    }

    #[test]
    fn flags_reach_their_options() {
        let flags = [
            "in.csv",
            "--in-place",
            "--format=tsv",
            "--delimiter=;",
            "--image-column=i",
            "--caption-column=c",
            "--column=s",
            "--overwrite",
            "--error-column=e",
            "--errors=e.csv",
            "--summary=s.json",
            "--model=m",
            "--canonicalize-captions",
            "--threads=3",
            "--batch-size=5",
            "--precision=int8",
            "--cache=v",
            "--cache-size=1GB",
            "--concurrency=7",
            "--per-host=2",
            "--per-host-interval=20ms",
            "--host-failures=4",
            "--timeout=2m",
            "--connect-timeout=1s",
            "--retries=0",
            "--max-bytes=1MiB",
            "--max-pixels=2k",
            "--ignore-exif",
            "--background=#102030",
            "--header=A: b",
            "--header=C: d",
            "--user-agent=u",
            "--ignore-opt-outs",
            "--resume",
            "--retry-failed",
            "--shard=2/3",
            "--diagnostics",
            "--limit=100",
            "--sample=9",
            "--seed=4",
            "--min-score=-0.5",
            "--max-score=0.5",
            "--top-fraction=0.25",
            "--min-image-size=64",
            "--max-aspect-ratio=3",
            "--keep-columns=x,y",
            "--keep-columns=z",
            "--save-images=shards",
            "--save-image-size=256",
            "--save-shard-size=50",
            "--no-sign-request",
        ];
        let expected = ScoreOptions {
            output: Output::InPlace,
            delimiter: Some(b';'),
            format: Some(TableFormat::Tsv),
            image_column: "i".to_owned(),
            caption_column: "c".to_owned(),
            column: "s".to_owned(),
            overwrite: true,
            error_column: Some("e".to_owned()),
            errors: Some("e.csv".into()),
            summary: Some("s.json".into()),
            models: vec!["m".to_owned()],
            canonicalize_captions: true,
            threads: NonZeroUsize::new(3),
            batch_size: NonZeroUsize::new(5).expect("not zero"),
            precision: Precision::Int8,
            fetch: FetchOptions {
                concurrency: 7,
                per_host: 2,
                per_host_interval: Duration::from_millis(20),
                host_failures: 4,
                timeout: Duration::from_secs(120),
                connect_timeout: Duration::from_secs(1),
                retries: 0,
                max_bytes: 1 << 20,
                headers: vec![("A".to_owned(), "b".to_owned()), ("C".to_owned(), "d".to_owned())],
                user_agent: Some("u".to_owned()),
                ignore_opt_outs: true,
                objects: ObjectOptions { anonymous: true },
                ..FetchOptions::default()
            },
            decode: DecodeOptions { max_pixels: 2000, apply_orientation: false, background: Some([16, 32, 48]) },
            resume: ResumeOptions { resume: true, retry_failed: true },
            shard: "2/3".parse().ok(),
            filters: Filters {
                limit: NonZeroUsize::new(100),
                sample: Some(Sample { rows: NonZeroUsize::new(9).expect("not zero"), seed: 4 }),
                min_score: Some(-0.5),
                max_score: Some(0.5),
                top_fraction: Some(0.25),
                pictures: PictureLimits { min_size: NonZeroU32::new(64), max_aspect_ratio: Some(3.0) },
                keep_columns: Some(["x", "y", "z"].map(str::to_owned).to_vec()),
            },
            diagnostics: true,
            save_images: Some(SaveImages {
                folder: "shards".into(),
                size: NonZeroU32::new(256),
                shard_size: NonZeroUsize::new(50).expect("not zero"),
            }),
            cache: Some(CacheOptions { folder: "v".into(), max_bytes: 1_000_000_000 }),
            ..ScoreOptions::new(Input::File("in.csv".into()))
        };
        assert_eq!(format!("{:?}", options(&flags)), format!("{expected:?}"));
    }
}
