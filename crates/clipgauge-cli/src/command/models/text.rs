//! Facts about models, aligned for a person.

use std::fmt::Write;

use bytesize::ByteSize;
use clipgauge::core::family::{Blocks, ModelFamily};
use clipgauge::core::spec::{ImageSpec, Resize};
use clipgauge::models::{Cached, Checked, Listed, Shown};

/// The well-known models by family, then others in the cache.
pub(super) fn list(listed: &Listed) -> String {
    let mut rows: Vec<(&str, [String; 6])> = Vec::new();
    for model in &listed.models {
        let known = &model.known;
        let size = known.image_size.map_or("any size".to_owned(), |side| format!("{side}×{side}"));
        let context = known.context_length.map_or(String::new(), |tokens| format!("{tokens} tokens"));
        let cells = [
            known.id.clone(),
            parameters(known.parameters),
            size,
            context,
            known.languages.clone(),
            model.cached.as_ref().map(cached).unwrap_or_default(),
        ];
        rows.push((&known.family, cells));
    }
    for other in &listed.others {
        let [none_1, none_2, none_3, none_4] = [const { String::new() }; 4];
        rows.push((other.family, [other.id.clone(), none_1, none_2, none_3, none_4, cached(&other.cached)]));
    }
    let mut text = String::new();
    if let Some(bundled) = listed.bundled {
        text += &format!("{bundled}: bundled, for trying out and tests\n");
    }
    let width = |column: usize| rows.iter().map(|(_, row)| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    for family in ModelFamily::ALL {
        let mut heading = Some(format!("\n{}\n", family.name()));
        for (_, row) in rows.iter().filter(|(of, _)| *of == family.name()) {
            text += &heading.take().unwrap_or_default();
            let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            text += format!("  {}", cells.join("  ")).trim_end();
            text.push('\n');
        }
    }
    text
}

fn cached(cached: &Cached) -> String {
    let size = ByteSize::b(cached.bytes).display().si();
    if cached.revisions.is_empty() { format!("in part cached, {size}") } else { format!("cached, {size}") }
}

fn parameters(count: u64) -> String {
    match count {
        0..1_000_000 => format!("{:.1} k", count as f64 / 1e3),
        1_000_000..10_000_000 => format!("{:.1} M", count as f64 / 1e6),
        _ => format!("{:.0} M", count as f64 / 1e6),
    }
}

/// Lines of a name and what there is to say, the names below each other.
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, fact: impl AsRef<str>) {
        // A `String` takes whatever is written.
        let _ = writeln!(self.0, "{name:<12}{}", fact.as_ref());
    }
}

/// What one model is.
pub(super) fn show(shown: &Shown) -> String {
    let description = &shown.description;
    let mut lines = Lines(String::new());
    lines.add("model", name(&shown.name, shown.id.as_deref(), shown.revision.as_deref()));
    lines.add("files", &shown.place);
    lines.add("family", description.family);
    lines.add("embedding", format!("{} numbers", description.embedding_width));
    lines.add("pictures", preprocessing(&description.image));
    let image = &description.image_tower;
    lines.add(
        "image tower",
        format!(
            "{}; patches of {}×{}; {} tokens, {}",
            blocks(&image.blocks),
            image.patch_size,
            image.patch_size,
            image.tokens,
            operations(image.flops)
        ),
    );
    let text = &description.text_tower;
    lines.add(
        "text tower",
        format!(
            "{}; {} ids; read {}; {} at {} tokens",
            blocks(&text.blocks),
            text.vocabulary,
            text.reads,
            operations(text.flops),
            text.tokens
        ),
    );
    lines.add("context", format!("{} tokens", description.text.context_length));
    match &description.weights {
        Some(weights) => {
            let types: Vec<_> = weights.number_types.iter().map(|kind| kind.name).collect();
            let size = ByteSize::b(weights.bytes).display().si();
            lines.add(
                "weights",
                format!("{} parameters in {}, {size}", parameters(weights.parameters), types.join(", ")),
            );
        }
        None => lines.add("weights", "not here; `clipgauge models fetch` gets them"),
    }
    if let Some(scale) = description.logit_scale {
        let bias = description.logit_bias.map_or(String::new(), |bias| format!(", bias {bias}"));
        lines.add("logit", format!("scale {scale}{bias}"));
    }
    shown.remarks.iter().for_each(|remark| lines.add("note", remark));
    lines.0
}

/// What came of checking a model.
pub(super) fn check(checked: &Checked) -> String {
    let mut lines = Lines(String::new());
    lines.add("model", name(&checked.name, checked.id.as_deref(), checked.revision.as_deref()));
    lines.add("family", checked.family);
    lines.add("load", milliseconds(checked.seconds.load));
    let shape: Vec<_> = checked.picture_shape.iter().map(ToString::to_string).collect();
    let width = checked.embedding_width;
    lines.add("picture", format!("{} to {width} numbers, {}", shape.join("×"), milliseconds(checked.seconds.image)));
    if let (Some(tokens), Some(seconds)) = (checked.text_tokens, checked.seconds.text) {
        lines.add("text", format!("{tokens} tokens to {width} numbers, {}", milliseconds(seconds)));
    }
    if let Some(cosine) = checked.cosine {
        lines.add("cosine", format!("{cosine}"));
    }
    if let Some(bytes) = checked.peak_bytes {
        lines.add("memory", format!("{} at most", ByteSize::b(bytes).display().si()));
    }
    checked.remarks.iter().for_each(|remark| lines.add("note", remark));
    checked.problems.iter().for_each(|problem| lines.add("problem", problem));
    lines.0
}

fn name(typed: &str, id: Option<&str>, revision: Option<&str>) -> String {
    let resolved = id.filter(|id| *id != typed).map_or(String::new(), |id| format!(", which is {id}"));
    let revision = revision.map_or(String::new(), |revision| format!(" at {revision}"));
    format!("{typed}{resolved}{revision}")
}

fn blocks(blocks: &Blocks) -> String {
    let Blocks { width, layers, heads, inner_width, activation, .. } = blocks;
    format!("{layers} layers of {width} ({activation}, {inner_width} inside), {heads} heads")
}

fn preprocessing(spec: &ImageSpec) -> String {
    let resize = match spec.resize {
        Resize::ShortestEdge(side) => format!("shorter side to {side}"),
        Resize::Exact([rows, columns]) => format!("to {rows}×{columns}"),
        Resize::Patches { patch_size, max_patches } => {
            format!("to at most {max_patches} patches of {patch_size}×{patch_size}")
        }
        Resize::Keep => "not resized".to_owned(),
    };
    let crop = spec.crop.map_or(String::new(), |[rows, columns]| format!(", centre {rows}×{columns}"));
    let filter = format!("{:?}", spec.filter).to_lowercase();
    format!("{resize}, {filter}{crop}; mean {:?}, std {:?}", spec.mean, spec.std)
}

fn operations(flops: u64) -> String {
    match flops {
        0..10_000_000 => format!("{:.2} MFLOP", flops as f64 / 1e6),
        _ => format!("{:.2} GFLOP", flops as f64 / 1e9),
    }
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1e3)
}
