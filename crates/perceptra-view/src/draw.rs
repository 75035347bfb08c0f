//! Charts to pixels and files.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Once;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};
use resvg::{tiny_skia, usvg};

use crate::chart::Layer;
use crate::{Chart, Colours, Field, ViewError};

const FONT: &[u8] = include_bytes!("../fonts/DejaVuSans.ttf");
/// In SVG a reader's own font, in PNG ours.
const FAMILY: &str = "sans-serif";

/// Okabe and Ito's colours, those that are seen on white first.
const PALETTE: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x00, 0x00, 0x00),
];

/// Cividis at eighths.
const CIVIDIS: [RGBColor; 9] = [
    RGBColor(0x00, 0x22, 0x4E),
    RGBColor(0x12, 0x35, 0x70),
    RGBColor(0x3B, 0x49, 0x6C),
    RGBColor(0x57, 0x5D, 0x6D),
    RGBColor(0x70, 0x71, 0x73),
    RGBColor(0x8A, 0x86, 0x78),
    RGBColor(0xA5, 0x9C, 0x74),
    RGBColor(0xC3, 0xB3, 0x69),
    RGBColor(0xFE, 0xE8, 0x38),
];

/// Units of drawing in a pixel: plotters places everything at whole units, which shows in curves.
const UNITS: i32 = 4;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Point = (i32, i32);

/// A picture of one or several charts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    svg: String,
}

/// Draws charts side by side, `columns` in a row, into a picture of this width and height in pixels.
///
/// # Errors
///
/// [`ViewError::Empty`] and [`ViewError::Range`] for charts without anything to show, [`ViewError::Draw`].
pub fn picture(charts: &[Chart], columns: usize, size: (u32, u32)) -> Result<Picture, ViewError> {
    static FONTS: Once = Once::new();
    FONTS.call_once(|| {
        // A font that is not taken would show in the first text: an error, not a panic.
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

/// Makes one path of the rectangles of one colour that follow each other: a field has thousands, of a hundred bytes each.
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

/// The colour and the outline of a filled rectangle as plotters writes it.
fn rectangle(line: &str) -> Option<(&str, String)> {
    let rest = line.strip_prefix("<rect ")?.strip_suffix(" stroke=\"none\"/>")?;
    let of = |name: &str| {
        let (_, after) = rest.split_once(&format!("{name}=\""))?;
        Some(after.split_once('"')?.0)
    };
    let [x, y, width, height] = [of("x")?, of("y")?, of("width")?, of("height")?];
    Some((of("fill")?, format!("M{x} {y}h{width}v{height}h-{width}z")))
}

impl Picture {
    /// The picture as SVG.
    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// The picture as PNG, of the same size in pixels.
    ///
    /// # Errors
    ///
    /// [`ViewError::Draw`].
    pub fn png(&self) -> Result<Vec<u8>, ViewError> {
        let mut options = usvg::Options::default();
        options.fontdb_mut().load_font_data(FONT.to_vec());
        options.fontdb_mut().set_sans_serif_family("DejaVu Sans");
        let tree = usvg::Tree::from_str(&self.svg, &options).map_err(failed)?;
        let size = tree.size().to_int_size();
        let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height())
            .ok_or_else(|| ViewError::Draw("the picture has no size".to_owned()))?;
        resvg::render(&tree, tiny_skia::Transform::default(), &mut pixels.as_mut());
        pixels.encode_png().map_err(failed)
    }

    /// Writes the picture, as its file name says: `.svg` or `.png`. The file appears whole or not at all.
    ///
    /// # Errors
    ///
    /// [`ViewError::Format`] for another name, [`ViewError::Write`], [`ViewError::Draw`].
    pub fn save(&self, path: &Path) -> Result<(), ViewError> {
        let bytes = match path.extension().and_then(|e| e.to_str()) {
            Some("svg") => self.svg.clone().into_bytes(),
            Some("png") => self.png()?,
            _ => return Err(ViewError::Format { path: path.to_owned() }),
        };
        perceptra_files::write_atomic(path, |file| file.write_all(&bytes))
            .map_err(|source| ViewError::Write { path: path.to_owned(), source })
    }
}

impl Picture {
    /// Writes `name`.svg and `name`.png into a folder, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// As [`Picture::save`].
    pub fn save_both(&self, folder: &Path, name: &str) -> Result<(), ViewError> {
        std::fs::create_dir_all(folder).map_err(|source| ViewError::Write { path: folder.to_owned(), source })?;
        ["svg", "png"].iter().try_for_each(|kind| self.save(&folder.join(format!("{name}.{kind}"))))
    }
}

fn failed(error: impl std::fmt::Display) -> ViewError {
    ViewError::Draw(error.to_string())
}

fn mix(a: RGBColor, b: RGBColor, t: f64) -> RGBColor {
    let part = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * t.clamp(0.0, 1.0)).round() as u8;
    RGBColor(part(a.0, b.0), part(a.1, b.1), part(a.2, b.2))
}

/// Dark for 0, light for 1.
fn heat(t: f64) -> RGBColor {
    let t = t.clamp(0.0, 1.0) * 8.0;
    let i = (t as usize).min(7);
    mix(CIVIDIS[i], CIVIDIS[i + 1], t - i as f64)
}

fn colour(i: usize) -> RGBColor {
    PALETTE[i % PALETTE.len()]
}

/// Text of this height in pixels.
fn text(size: i32) -> TextStyle<'static> {
    (FAMILY, size * UNITS).into_text_style(&(10, 10)).color(&RGBColor(0x22, 0x22, 0x22))
}

impl Chart {
    /// The ends of an axis: as asked for, else what the layers reach and a little more.
    fn range(&self, axis: usize) -> Result<(f64, f64), ViewError> {
        let (asked, log) = if axis == 0 { (self.x, self.log.0) } else { (self.y, self.log.1) };
        let scale = |v: f64| if log { v.log10() } else { v };
        if let Some((low, high)) = asked {
            let (a, b) = (scale(low), scale(high));
            return match a.is_finite() && b.is_finite() && a < b {
                true => Ok((a, b)),
                false => Err(ViewError::Range { title: self.title.clone(), low, high }),
            };
        }
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut reach = |v: f64| {
            let v = scale(v);
            if v.is_finite() {
                (low, high) = (low.min(v), high.max(v));
            }
        };
        let mut filled = false;
        for layer in &self.layers {
            match layer {
                Layer::Line { points, .. } | Layer::Points { points, .. } | Layer::Shaded { points, .. } => {
                    points.iter().for_each(|&(x, y)| reach(if axis == 0 { x } else { y }));
                }
                Layer::Vertical { x, .. } if axis == 0 => reach(*x),
                Layer::Vertical { .. } => {}
                Layer::Field { field, .. } | Layer::Contour { field, .. } => {
                    let (a, b) = if axis == 0 { field.x } else { field.y };
                    filled = true;
                    reach(a);
                    reach(b);
                }
            }
        }
        if low > high {
            return Err(ViewError::Empty { title: self.title.clone() });
        }
        let margin = match (filled, high - low) {
            (true, _) => 0.0,
            (_, 0.0) => 0.5 * high.abs().max(1.0),
            (_, width) => 0.04 * width,
        };
        Ok((low - margin, high + margin))
    }

    fn has_field(&self) -> bool {
        self.layers.iter().any(|layer| matches!(layer, Layer::Field { .. }))
    }

    /// A point where the axes have it.
    fn scaled(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (if self.log.0 { x.log10() } else { x }, if self.log.1 { y.log10() } else { y })
    }
}

fn draw(chart: &Chart, area: &Area<'_>) -> Result<(), ViewError> {
    let (x, y) = (chart.range(0)?, chart.range(1)?);
    let (width, _) = area.dim_in_pixel();
    let middle = text(18).pos(Pos::new(HPos::Center, VPos::Top));
    area.draw(&Text::new(chart.title.clone(), (width as i32 / 2, 10 * UNITS), middle)).map_err(failed)?;
    let top = legend(chart, area, 38 * UNITS)?;
    let (_, below) = area.split_vertically(top);
    let mut plot = ChartBuilder::on(&below)
        .margin(6 * UNITS)
        .margin_right(18 * UNITS)
        .x_label_area_size(46 * UNITS)
        .y_label_area_size(64 * UNITS)
        .build_cartesian_2d(x.0..x.1, y.0..y.1)
        .map_err(failed)?;
    let number = |v: &f64, log: bool, (low, high): (f64, f64)| match log {
        true if (v - v.round()).abs() > 1e-6 => String::new(),
        true => short(10f64.powf(v.round()), 1.0),
        false => short(*v, high - low),
    };
    let labels = |names: &[String]| if names.is_empty() { 6 } else { 2 * names.len() + 1 };
    plot.configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(0xE2, 0xE2, 0xE2).stroke_width(UNITS as u32))
        .axis_style(RGBColor(0x55, 0x55, 0x55).stroke_width(UNITS as u32))
        .set_all_tick_mark_size(5 * UNITS)
        .x_labels(labels(&chart.names[0]))
        .y_labels(labels(&chart.names[1]))
        .label_style(text(14))
        .axis_desc_style(text(15))
        .x_desc(chart.labels[0].as_str())
        .y_desc(chart.labels[1].as_str())
        .x_label_formatter(&|v| match chart.names[0].is_empty() {
            true => number(v, chart.log.0, x),
            false => name(&chart.names[0], *v),
        })
        .y_label_formatter(&|v| match chart.names[1].is_empty() {
            true => number(v, chart.log.1, y),
            false => name(&chart.names[1], *v),
        })
        .draw()
        .map_err(failed)?;
    let base = area.get_base_pixel();
    let unit = |p: (f64, f64)| {
        let (px, py) = plot.backend_coord(&p);
        (px - base.0, py - base.1)
    };
    let pen = Pen { chart, area, x, y, unit: &unit };
    chart.layers.iter().try_for_each(|layer| pen.layer(layer))
}

/// Draws the layers of a chart.
struct Pen<'a, 'b> {
    chart: &'a Chart,
    area: &'a Area<'b>,
    x: (f64, f64),
    y: (f64, f64),
    /// Where a point of the axes is in the area.
    unit: &'a dyn Fn((f64, f64)) -> Point,
}

impl Pen<'_, '_> {
    fn layer(&self, layer: &Layer) -> Result<(), ViewError> {
        match layer {
            Layer::Line { points, colour: i, dashed, .. } => {
                let points: Vec<_> = points.iter().map(|&p| self.chart.scaled(p)).collect();
                self.line(&points, dash(*dashed), colour(*i), 2)
            }
            Layer::Shaded { points, shade } => {
                let points: Vec<_> = points.iter().map(|&p| self.chart.scaled(p)).collect();
                self.line(&points, None, heat(*shade), 1)
            }
            Layer::Points { points, shape, ring, .. } => {
                let inside = |p: &(f64, f64)| within(p.0, self.x) && within(p.1, self.y);
                let mut points = points.iter().map(|&p| self.chart.scaled(p)).filter(inside);
                points.try_for_each(|p| mark(self.area, (self.unit)(p), *shape, *ring))
            }
            Layer::Vertical { x, .. } => {
                let x = self.chart.scaled((*x, 1.0)).0;
                self.line(&[(x, self.y.0), (x, self.y.1)], Some(DOTS), DARK, 2)
            }
            Layer::Field { field, colours } => self.field(field, *colours),
            Layer::Contour { field, levels, dashed, light, .. } => {
                let (ink, width) = if *light { (RGBColor(0xD8, 0xD8, 0xD8), 1) } else { (BLACK, 2) };
                levels.iter().flat_map(|&level| field.contour(level)).try_for_each(|line| {
                    let line: Vec<_> = line.into_iter().map(|p| self.chart.scaled(p)).collect();
                    self.line(&line, dash(*dashed), ink, width)
                })
            }
        }
    }

    /// A line, as much of it as the axes show.
    fn line(&self, points: &[(f64, f64)], dash: Option<Point>, ink: RGBColor, width: i32) -> Result<(), ViewError> {
        let style = ink.stroke_width((width * UNITS) as u32);
        let halo = WHITE.stroke_width(((width + 3) * UNITS) as u32);
        let on_colours = dash.is_none() && width > 1 && ink != BLACK && self.chart.has_field();
        for piece in clip(points, self.x, self.y) {
            let piece: Vec<Point> = piece.into_iter().map(self.unit).collect();
            if on_colours {
                self.area.draw(&PathElement::new(piece.clone(), halo)).map_err(failed)?;
            }
            for part in dashes(&piece, dash) {
                self.area.draw(&PathElement::new(part, style)).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Rectangles round the points of the grid, neighbours of one colour joined along x.
    fn field(&self, field: &Field, colours: Colours) -> Result<(), ViewError> {
        let finite = || field.values.iter().copied().filter(|v| v.is_finite());
        let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        let shade = |v: f64| match colours {
            _ if !v.is_finite() => WHITE,
            Colours::Probability => mix(mix(colour(0), colour(1), (v * 10.0).round() / 10.0), WHITE, 0.6),
            Colours::Classes => mix(colour(v.max(0.0) as usize), WHITE, 0.6),
            Colours::Heat => heat(((v - low) / (high - low).max(f64::MIN_POSITIVE) * 24.0).round() / 24.0),
        };
        // Halfway between two points, and at the ends of the field.
        let edge = |i: usize, n: usize| (i as f64 - 0.5).clamp(0.0, (n - 1) as f64);
        // Rectangles that end between pixels would leave seams.
        let base = self.area.get_base_pixel();
        let whole = |v: i32, base: i32| (f64::from(v + base) / f64::from(UNITS)).round() as i32 * UNITS - base;
        for (row, values) in field.values.chunks(field.columns).enumerate() {
            let mut start = 0;
            for column in 1..=field.columns {
                let ink = shade(values[start]);
                if values.get(column).is_some_and(|&v| shade(v) == ink) {
                    continue;
                }
                let corner = |c: usize, r: usize| {
                    let (x, y) = self.chart.scaled(field.place(edge(c, field.columns), edge(r, field.rows)));
                    let (x, y) = (self.unit)((x.clamp(self.x.0, self.x.1), y.clamp(self.y.0, self.y.1)));
                    (whole(x, base.0), whole(y, base.1))
                };
                let rectangle = Rectangle::new([corner(start, row), corner(column, row + 1)], ink.filled());
                self.area.draw(&rectangle).map_err(failed)?;
                start = column;
            }
        }
        Ok(())
    }
}

const DARK: RGBColor = RGBColor(0x44, 0x44, 0x44);
/// Lengths of the parts and of the gaps of broken lines, in pixels.
const DASHES: Point = (7, 4);
const DOTS: Point = (2, 4);

fn dash(dashed: bool) -> Option<Point> {
    dashed.then_some(DASHES)
}

fn within(v: f64, (low, high): (f64, f64)) -> bool {
    (low..=high).contains(&v)
}

/// The parts of a line inside a rectangle, each segment cut by Liang and Barsky's rule.
fn clip(points: &[(f64, f64)], x: (f64, f64), y: (f64, f64)) -> Vec<Vec<(f64, f64)>> {
    let mut pieces: Vec<Vec<(f64, f64)>> = Vec::new();
    for ends in points.windows(2) {
        let (a, b) = (ends[0], ends[1]);
        let (mut from, mut to) = (0.0, 1.0);
        for (start, step, (low, high)) in [(a.0, b.0 - a.0, x), (a.1, b.1 - a.1, y)] {
            let (mut enter, mut leave) = ((low - start) / step, (high - start) / step);
            if step == 0.0 {
                (enter, leave) = if within(start, (low, high)) { (0.0, 1.0) } else { (1.0, 0.0) };
            } else if step < 0.0 {
                (enter, leave) = (leave, enter);
            }
            (from, to) = (f64::max(from, enter), f64::min(to, leave));
        }
        if from > to || from.is_nan() || to.is_nan() {
            continue;
        }
        let at = |t: f64| (a.0 + (b.0 - a.0) * t, a.1 + (b.1 - a.1) * t);
        match pieces.last_mut() {
            Some(piece) if from == 0.0 && piece.last() == Some(&a) => piece.push(at(to)),
            _ => pieces.push(vec![at(from), if to == 1.0 { b } else { at(to) }]),
        }
    }
    pieces
}

/// A line cut into dashes, in units; whole without a pattern.
fn dashes(line: &[Point], dash: Option<Point>) -> Vec<Vec<Point>> {
    let Some((part, gap)) = dash else { return vec![line.to_vec()] };
    let (part, gap) = (f64::from(part * UNITS), f64::from(gap * UNITS));
    let (mut parts, mut drawing, mut left) = (vec![vec![line[0]]], true, part);
    for ends in line.windows(2) {
        let (dx, dy) = (f64::from(ends[1].0 - ends[0].0), f64::from(ends[1].1 - ends[0].1));
        let (length, mut done) = (dx.hypot(dy), 0.0);
        while length - done > left {
            done += left;
            let at = (ends[0].0 + (dx * done / length).round() as i32, ends[0].1 + (dy * done / length).round() as i32);
            match drawing {
                true => parts.last_mut().into_iter().for_each(|part| part.push(at)),
                false => parts.push(vec![at]),
            }
            drawing = !drawing;
            left = if drawing { part } else { gap };
        }
        left -= length - done;
        if drawing {
            parts.last_mut().into_iter().for_each(|part| part.push(ends[1]));
        }
    }
    parts.retain(|part| part.len() > 1);
    parts
}

/// The mark of a point: a shape for each class, or a ring.
fn mark(area: &Area<'_>, (x, y): Point, shape: usize, ring: bool) -> Result<(), ViewError> {
    let edge = BLACK.stroke_width(UNITS as u32 / 2);
    if ring {
        let ring = Circle::new((x, y), 7 * UNITS, BLACK.stroke_width(3 * UNITS as u32 / 2));
        return area.draw(&ring).map_err(failed);
    }
    let fill = colour(shape).filled();
    let corners: Vec<Point> = match shape % 3 {
        0 => {
            let size = 7 * UNITS / 2;
            area.draw(&Circle::new((x, y), size, fill)).map_err(failed)?;
            return area.draw(&Circle::new((x, y), size, edge)).map_err(failed);
        }
        1 => vec![(0, -9), (8, 6), (-8, 6)],
        _ => vec![(-6, -6), (6, -6), (6, 6), (-6, 6)],
    }
    .into_iter()
    .map(|(dx, dy)| (x + dx * UNITS / 2, y + dy * UNITS / 2))
    .collect();
    area.draw(&Polygon::new(corners.clone(), fill)).map_err(failed)?;
    let round: Vec<Point> = corners.iter().chain(corners.first()).copied().collect();
    area.draw(&PathElement::new(round, edge)).map_err(failed)
}

/// The name at a place of an axis, if it has one.
fn name(names: &[String], v: f64) -> String {
    let place = v.round();
    let named = ((v - place).abs() < 1e-6 && place >= 0.0).then(|| names.get(place as usize));
    named.flatten().cloned().unwrap_or_default()
}

/// A number on an axis of such a length, as short as it can be told from its neighbours.
fn short(v: f64, length: f64) -> String {
    let v = if v.abs() < length * 1e-9 { 0.0 } else { v };
    if v != 0.0 && (v.abs() >= 1e5 || v.abs() < 1e-3) {
        return format!("{v:.0e}").replace('-', "−");
    }
    let digits = (1.0 - length.abs().log10()).ceil().clamp(0.0, 6.0) as usize;
    let digits = if v.abs() < 0.1 { digits.max(3) } else { digits };
    let text = format!("{v:.digits$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    text.replace('-', "−")
}

/// Names of lines and points below the title, in as many rows as they need: where the plot begins.
fn legend(chart: &Chart, area: &Area<'_>, top: i32) -> Result<i32, ViewError> {
    const SWATCH: i32 = 30 * UNITS;
    let style = text(14);
    let width = area.dim_in_pixel().0 as i32;
    let left = 64 * UNITS;
    let (mut x, mut y) = (left, top);
    for layer in &chart.layers {
        let name = match layer {
            Layer::Line { name, .. } | Layer::Points { name, .. } => name,
            Layer::Contour { name, .. } | Layer::Vertical { name, .. } => name,
            Layer::Field { .. } | Layer::Shaded { .. } => continue,
        };
        if name.is_empty() {
            continue;
        }
        let (wide, _) = area.estimate_text_size(name, &style).map_err(failed)?;
        let needed = SWATCH + 24 * UNITS + wide as i32;
        if x > left && x + needed > width {
            (x, y) = (left, y + 22 * UNITS);
        }
        let level = y + 8 * UNITS;
        let line = |dash: Option<Point>, ink: RGBColor| {
            let style = ink.stroke_width(2 * UNITS as u32);
            let mut parts = dashes(&[(x, level), (x + SWATCH, level)], dash).into_iter();
            parts.try_for_each(|part| area.draw(&PathElement::new(part, style))).map_err(failed)
        };
        match layer {
            Layer::Line { colour: i, dashed, .. } => line(dash(*dashed), colour(*i))?,
            Layer::Contour { dashed, .. } => line(dash(*dashed), BLACK)?,
            Layer::Vertical { .. } => line(Some(DOTS), DARK)?,
            Layer::Points { shape, ring, .. } => mark(area, (x + SWATCH / 2, level), *shape, *ring)?,
            Layer::Field { .. } | Layer::Shaded { .. } => {}
        }
        area.draw(&Text::new(name.clone(), (x + SWATCH + 6 * UNITS, y), style.clone())).map_err(failed)?;
        x += needed;
    }
    Ok(if x > left { y + 22 * UNITS } else { y - 6 * UNITS })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Chart {
        let field = Field::new((-1.0, 1.0), (-1.0, 1.0), 2, vec![0.0, 1.0, 0.25, 0.75]).unwrap();
        Chart::new("Title", "x", "y")
            .field(&field, Colours::Probability)
            .contour("boundary", &field, &[0.5])
            .dashed("rule", [(-1.0, 0.0), (0.5, f64::NAN), (1.0, 0.5)])
            .points("a", 0, [(0.0, 0.0)])
            .points("b", 1, [(0.5, 0.5)])
            .rings("support", [(0.5, 0.5)])
            .vertical("here", 0.25)
    }

    #[test]
    fn the_same_chart_gives_the_same_bytes() {
        let draw = || picture(&[sample(), sample().log_x()], 2, (800, 400)).unwrap();
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

    /// Pixels that are not white, in a part of the picture.
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
            let chart = Chart::new("", "", "").line("", [(0.0, 0.0), (0.5, high), (1.0, 0.0)]).x_range(0.0, 1.0);
            picture(&[chart.y_range(0.0, 1.0)], 1, (400, 300)).unwrap().png().unwrap()
        };
        // A line that goes far beyond leaves no ink above the plot, where the title would be.
        assert_eq!(ink(&line(1e6), |_, y| y < 30), 0);
        assert!(ink(&line(1e6), |_, _| true) > 100);
        let titled = Chart::new("Some title", "", "").line("", [(0.0, 0.0), (1.0, 1.0)]);
        let titled = picture(&[titled], 1, (400, 300)).unwrap().png().unwrap();
        assert!(ink(&titled, |_, y| y < 30) > 50);
    }

    #[test]
    fn pictures_are_saved_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let picture = picture(&[sample()], 1, (300, 200)).unwrap();
        picture.save_both(&folder.path().join("new"), "a").unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("new/a.svg")).unwrap(), picture.svg());
        assert_eq!(std::fs::read(folder.path().join("new/a.png")).unwrap(), picture.png().unwrap());
        let error = picture.save(&folder.path().join("a.jpg")).unwrap_err();
        assert!(matches!(error, ViewError::Format { .. }) && error.to_string().ends_with("pictures are .svg or .png"));
        let error = picture.save(&folder.path().join("no/a.svg")).unwrap_err();
        assert!(matches!(error, ViewError::Write { .. }), "{error}");
    }

    #[test]
    fn places_have_names() {
        let names: Vec<String> = ["relu", "tanh", "gelu", "silu"].map(String::from).to_vec();
        let chart = Chart::new("", "", "").points("", 0, [(0.0, 3.0), (3.0, 0.0)]);
        for chart in [chart.clone().x_names(&names).y_range(10.0, 20.0), chart.y_names(&names).x_range(10.0, 20.0)] {
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
        let turned = Chart::new("R", "x", "y").line("l", [(0.0, 1.0)]).x_range(1.0, 0.0);
        assert!(matches!(picture(&[turned], 1, (300, 200)), Err(ViewError::Range { .. })));
        let log = Chart::new("R", "x", "y").line("l", [(0.0, 1.0)]).x_range(0.0, 1.0).log_x();
        assert!(matches!(picture(&[log], 1, (300, 200)), Err(ViewError::Range { .. })));
        // One point, or a level line, is something.
        picture(&[Chart::new("P", "x", "y").points("p", 0, [(0.0, 0.0)])], 1, (300, 200)).unwrap();
    }

    #[test]
    fn lines_are_clipped_where_they_leave() {
        let unit = (0.0, 1.0);
        let zigzag = [(-1.0, 0.5), (0.5, 0.5), (0.5, 2.0), (0.75, 0.5), (2.0, 0.5)];
        let pieces = clip(&zigzag, unit, unit);
        assert_eq!(pieces.len(), 2);
        assert_eq!(pieces[0], [(0.0, 0.5), (0.5, 0.5), (0.5, 1.0)]);
        assert_eq!(pieces[1].last(), Some(&(1.0, 0.5)));
        assert!(clip(&[(2.0, 2.0), (3.0, 3.0)], unit, unit).is_empty());
    }

    #[test]
    fn rectangles_of_one_colour_are_one_path() {
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
        // What is not filled stays as it is.
        let frame = "<rect x=\"0\" y=\"0\" width=\"1\" height=\"1\" opacity=\"1\" fill=\"none\" stroke=\"#A\"/>\n";
        assert_eq!(compact(frame), frame);
    }

    #[test]
    fn numbers_on_axes_are_short() {
        for (v, length, text) in [
            (0.5, 1.0, "0.5"),
            (20.0, 100.0, "20"),
            (-1.5, 4.0, "−1.5"),
            (1e-17, 1.0, "0"),
            (250_000.0, 1e6, "2e5"),
            (1e-4, 1e-3, "1e−4"),
            (0.01, 1.0, "0.01"),
        ] {
            assert_eq!(short(v, length), text, "{v}");
        }
    }

    #[test]
    fn dashes_add_up() {
        let parts = dashes(&[(0, 0), (22 * UNITS, 0), (22 * UNITS, 22 * UNITS)], Some(DASHES));
        assert_eq!(parts.len(), 4);
        assert_eq!(parts[0], [(0, 0), (7 * UNITS, 0)]);
        assert_eq!(parts[2], [(22 * UNITS, 0), (22 * UNITS, 7 * UNITS)]);
    }
}
