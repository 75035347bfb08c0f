//! Pictures of charts, as SVG and PNG.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Once;

use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use resvg::{tiny_skia, usvg};

use crate::chart::Chart;
use crate::draw::draw;
use crate::error::ViewError;
use crate::style::{FAMILY, FONT, UNITS, failed};

/// A picture of one or several charts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    svg: String,
}

/// Draws charts side by side, `columns` per row, into a picture of `size` (width, height) in pixels.
///
/// # Errors
///
/// [`ViewError::Empty`] or [`ViewError::Range`] if a chart has nothing to show, [`ViewError::Draw`] if drawing fails.
pub fn picture(charts: &[Chart], columns: usize, size: (u32, u32)) -> Result<Picture, ViewError> {
    static FONTS: Once = Once::new();
    FONTS.call_once(|| {
        // If this fails, drawing the first text returns an error.
        let _ = register_font(FAMILY, FontStyle::Normal, FONT);
    });
    let mut svg = String::new();
    {
        let units = (size.0 * UNITS as u32, size.1 * UNITS as u32);
        let root = SVGBackend::with_string(&mut svg, units).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        let columns = columns.clamp(1, charts.len().max(1));
        let cells = root.split_evenly((charts.len().div_ceil(columns), columns));
        for (chart, cell) in charts.iter().zip(&cells) {
            draw(chart, cell)?;
        }
        root.present().map_err(failed)?;
    }
    let whole = |(width, height): (u32, u32)| format!("width=\"{width}\" height=\"{height}\"");
    let svg = svg.replacen(&whole((size.0 * UNITS as u32, size.1 * UNITS as u32)), &whole(size), 1);
    Ok(Picture { svg: compact(&svg) })
}

/// Joins consecutive rectangles of the same color into one path: a field has thousands of them, of a hundred bytes each.
fn compact(svg: &str) -> String {
    let mut out = String::with_capacity(svg.len() / 2);
    let mut block: BTreeMap<&str, String> = BTreeMap::new();
    for line in svg.lines() {
        if let Some((fill, path)) = rectangle(line) {
            *block.entry(fill).or_default() += &path;
            continue;
        }
        for (fill, path) in std::mem::take(&mut block) {
            out += &format!("<path fill=\"{fill}\" shape-rendering=\"crispEdges\" d=\"{path}\"/>\n");
        }
        out += line;
        out.push('\n');
    }
    out
}

/// The color and the SVG path of a filled rectangle, read from a line in the form that plotters writes; `None` for any other line.
fn rectangle(line: &str) -> Option<(&str, String)> {
    let rest = line.strip_prefix("<rect ")?.strip_suffix(" stroke=\"none\"/>")?;
    let attribute = |name: &str| {
        let (_, after) = rest.split_once(&format!("{name}=\""))?;
        Some(after.split_once('"')?.0)
    };
    let [x, y, width, height] = [attribute("x")?, attribute("y")?, attribute("width")?, attribute("height")?];
    Some((attribute("fill")?, format!("M{x} {y}h{width}v{height}h-{width}z")))
}

impl Picture {
    /// The picture as SVG.
    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// The picture as PNG.
    ///
    /// # Errors
    ///
    /// [`ViewError::Draw`] if the picture is empty or cannot be encoded.
    pub fn png(&self) -> Result<Vec<u8>, ViewError> {
        let mut options = usvg::Options::default();
        options.fontdb_mut().load_font_data(FONT.to_vec());
        options.fontdb_mut().set_sans_serif_family("DejaVu Sans");
        let tree = usvg::Tree::from_str(&self.svg, &options).map_err(failed)?;
        let size = tree.size().to_int_size();
        let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height())
            .ok_or_else(|| ViewError::Draw("the picture has no area".to_owned()))?;
        resvg::render(&tree, tiny_skia::Transform::default(), &mut pixels.as_mut());
        pixels.encode_png().map_err(failed)
    }

    /// Writes `name`.svg and `name`.png into a folder, which is created if it does not exist. A file appears whole or not at all.
    ///
    /// # Errors
    ///
    /// [`ViewError::Write`] if the folder or a file cannot be written, and as [`Picture::png`].
    pub fn save_both(&self, folder: &Path, name: &str) -> Result<(), ViewError> {
        std::fs::create_dir_all(folder).map_err(|source| ViewError::Write { path: folder.to_owned(), source })?;
        let write = |ending: &str, bytes: &[u8]| {
            let path = folder.join(format!("{name}.{ending}"));
            perceptra_files::write_atomic(&path, |file| file.write_all(bytes))
                .map_err(|source| ViewError::Write { path, source })
        };
        write("svg", self.svg.as_bytes())?;
        write("png", &self.png()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::Colors;
    use crate::field::Field;

    fn sample() -> Chart {
        let field = Field::new((-1.0, 1.0), (-1.0, 1.0), 2, vec![0.0, 1.0, 0.25, 0.75]).unwrap();
        Chart::new("Title", "x", "y")
            .field(&field, Colors::Probability)
            .contour("boundary", &field, &[0.5])
            .dashed("rule", [(-1.0, 0.0), (0.5, f64::NAN), (1.0, 0.5)])
            .points("a", 0, [(0.0, 0.0)])
            .points("b", 1, [(0.5, 0.5)])
            .rings("support", [(0.5, 0.5)])
            .vertical("here", 0.25)
    }

    #[test]
    fn the_same_chart_gives_the_same_bytes() {
        let draw = || {
            picture(
                &[sample(), {
                    let mut log = sample();
                    log.x.log = true;
                    log
                }],
                2,
                (800, 400),
            )
            .unwrap()
        };
        let (a, b) = (draw(), draw());
        assert_eq!(a, b);
        assert_eq!(a.png().unwrap(), b.png().unwrap());
    }

    #[test]
    fn titles_labels_and_names_are_in_the_picture() {
        let svg = picture(&[sample()], 1, (800, 500)).unwrap();
        let svg = svg.svg();
        assert!(svg.starts_with(r#"<svg width="800" height="500" viewBox="0 0 3200 2000""#), "{}", &svg[..200]);
        for name in ["Title", "boundary", "rule", "a", "b", "support", "here"] {
            assert!(svg.contains(&format!(">\n{name}\n</text>")), "{name}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    /// The number of dark or colored pixels in a part of the picture.
    fn ink(png: &[u8], part: impl Fn(u32, u32) -> bool) -> usize {
        let pixels = tiny_skia::Pixmap::decode_png(png).unwrap();
        let width = pixels.width();
        let at = |i: usize| (i as u32 % width, i as u32 / width);
        let marked = pixels.pixels().iter().enumerate().filter(|(_, p)| p.red() < 200 || p.blue() < 200);
        marked.filter(|(i, _)| part(at(*i).0, at(*i).1)).count()
    }

    #[test]
    fn a_png_has_its_text_and_nothing_outside_the_axes() {
        let line = |high: f64| {
            let mut chart = Chart::new("", "", "").line("", [(0.0, 0.0), (0.5, high), (1.0, 0.0)]);
            (chart.x.range, chart.y.range) = (Some((0.0, 1.0)), Some((0.0, 1.0)));
            picture(&[chart], 1, (400, 300)).unwrap().png().unwrap()
        };
        // A line far beyond the axes leaves no ink above the plot, where the title would be.
        assert_eq!(ink(&line(1e6), |_, y| y < 30), 0);
        assert!(ink(&line(1e6), |_, _| true) > 100);
        let titled = Chart::new("Some title", "", "").line("", [(0.0, 0.0), (1.0, 1.0)]);
        let titled = picture(&[titled], 1, (400, 300)).unwrap().png().unwrap();
        assert!(ink(&titled, |_, y| y < 30) > 50);
    }

    #[test]
    fn pictures_are_saved_as_svg_and_png() {
        let folder = tempfile::tempdir().unwrap();
        let picture = picture(&[sample()], 1, (300, 200)).unwrap();
        picture.save_both(&folder.path().join("new"), "a").unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("new/a.svg")).unwrap(), picture.svg());
        assert_eq!(std::fs::read(folder.path().join("new/a.png")).unwrap(), picture.png().unwrap());
        let error = picture.save_both(&folder.path().join("new/a.svg"), "a").unwrap_err();
        assert!(matches!(error, ViewError::Write { .. }), "{error}");
    }

    #[test]
    fn positions_have_names() {
        let names: Vec<String> = ["relu", "tanh", "gelu", "silu"].map(String::from).to_vec();
        let chart = Chart::new("", "", "").points("", 0, [(0.0, 3.0), (3.0, 0.0)]);
        let (mut across, mut up) = (chart.clone(), chart);
        (across.x.names, across.y.range) = (names.clone(), Some((10.0, 20.0)));
        (up.y.names, up.x.range) = (names.clone(), Some((10.0, 20.0)));
        for chart in [across, up] {
            let picture = picture(&[chart], 1, (400, 300)).unwrap();
            for name in &names {
                assert_eq!(picture.svg().matches(&format!(">\n{name}\n</text>")).count(), 1, "{name}");
            }
            assert!(!picture.svg().contains(">\n0.5\n</text>"));
        }
    }

    #[test]
    fn charts_without_anything_to_show_are_errors() {
        let empty = Chart::new("E", "x", "y").line("l", [(f64::NAN, 1.0)]);
        assert!(matches!(picture(&[empty], 1, (300, 200)), Err(ViewError::Empty { title }) if title == "E"));
        let mut turned = Chart::new("R", "x", "y").line("l", [(0.0, 1.0)]);
        turned.x.range = Some((1.0, 0.0));
        assert!(matches!(picture(&[turned], 1, (300, 200)), Err(ViewError::Range { .. })));
        let mut log = Chart::new("R", "x", "y").line("l", [(0.0, 1.0)]);
        (log.x.range, log.x.log) = (Some((0.0, 1.0)), true);
        assert!(matches!(picture(&[log], 1, (300, 200)), Err(ViewError::Range { .. })));
        // A single point is enough to show.
        picture(&[Chart::new("P", "x", "y").points("p", 0, [(0.0, 0.0)])], 1, (300, 200)).unwrap();
    }

    #[test]
    fn rectangles_of_one_color_are_one_path() {
        let rect = |x: u32, fill: &str| {
            format!(
                "<rect x=\"{x}\" y=\"2\" width=\"3\" height=\"4\" opacity=\"1\" fill=\"{fill}\" stroke=\"none\"/>\n"
            )
        };
        let svg =
            [rect(0, "#B"), rect(3, "#A"), rect(6, "#B"), "<g/>\n".to_owned(), rect(9, "#B")].concat() + "</svg>\n";
        let path = |fill: &str, d: &str| format!("<path fill=\"{fill}\" shape-rendering=\"crispEdges\" d=\"{d}\"/>\n");
        let expected = [
            path("#A", "M3 2h3v4h-3z"),
            path("#B", "M0 2h3v4h-3zM6 2h3v4h-3z"),
            "<g/>\n".to_owned(),
            path("#B", "M9 2h3v4h-3z"),
            "</svg>\n".to_owned(),
        ];
        assert_eq!(compact(&svg), expected.concat());
        // Rectangles without fill are kept.
        let frame = "<rect x=\"0\" y=\"0\" width=\"1\" height=\"1\" opacity=\"1\" fill=\"none\" stroke=\"#A\"/>\n";
        assert_eq!(compact(frame), frame);
    }
}
