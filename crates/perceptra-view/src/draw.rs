//! Drawing of charts with plotters.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::axis::{name, short};
use crate::chart::{Chart, Colors, Layer};
use crate::colors::{color, heat, mix};
use crate::error::ViewError;
use crate::field::Field;
use crate::lines::{DOTS, clip, dash, dashes, within};
use crate::style::{Area, Point, UNITS, failed, text};

/// Draws a chart into an area.
pub(crate) fn draw(chart: &Chart, area: &Area<'_>) -> Result<(), ViewError> {
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
        .x_labels(labels(&chart.x.names))
        .y_labels(labels(&chart.y.names))
        .label_style(text(14))
        .axis_desc_style(text(15))
        .x_desc(chart.x.label.as_str())
        .y_desc(chart.y.label.as_str())
        .x_label_formatter(&|v| match chart.x.names.is_empty() {
            true => number(v, chart.x.log, x),
            false => name(&chart.x.names, *v),
        })
        .y_label_formatter(&|v| match chart.y.names.is_empty() {
            true => number(v, chart.y.log, y),
            false => name(&chart.y.names, *v),
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
    /// Maps a point from the coordinates of the axes to drawing units in the area.
    unit: &'a dyn Fn((f64, f64)) -> Point,
}

impl Pen<'_, '_> {
    fn layer(&self, layer: &Layer) -> Result<(), ViewError> {
        match layer {
            Layer::Line { points, color: i, dashed, .. } => {
                let points: Vec<_> = points.iter().map(|&p| self.chart.scaled(p)).collect();
                self.line(&points, dash(*dashed), color(*i), 2)
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
            Layer::Field { field, colors } => self.field(field, *colors),
            Layer::Contour { field, levels, dashed, light, .. } => {
                let (ink, width) = if *light { (RGBColor(0xD8, 0xD8, 0xD8), 1) } else { (BLACK, 2) };
                levels.iter().flat_map(|&level| field.contour(level)).try_for_each(|line| {
                    let line: Vec<_> = line.into_iter().map(|p| self.chart.scaled(p)).collect();
                    self.line(&line, dash(*dashed), ink, width)
                })
            }
        }
    }

    /// Draws a line, clipped to the axes.
    fn line(&self, points: &[(f64, f64)], dash: Option<Point>, ink: RGBColor, width: i32) -> Result<(), ViewError> {
        let style = ink.stroke_width((width * UNITS) as u32);
        let halo = WHITE.stroke_width(((width + 3) * UNITS) as u32);
        let on_colors = dash.is_none() && width > 1 && ink != BLACK && self.chart.has_field();
        for piece in clip(points, self.x, self.y) {
            let piece: Vec<Point> = piece.into_iter().map(self.unit).collect();
            if on_colors {
                self.area.draw(&PathElement::new(piece.clone(), halo)).map_err(failed)?;
            }
            for part in dashes(&piece, dash) {
                self.area.draw(&PathElement::new(part, style)).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Draws a field as a rectangle around each grid point; neighbors along x with the same color are joined.
    fn field(&self, field: &Field, colors: Colors) -> Result<(), ViewError> {
        let finite = || field.values.iter().copied().filter(|v| v.is_finite());
        let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        let shade = |v: f64| match colors {
            _ if !v.is_finite() => WHITE,
            Colors::Probability => mix(mix(color(0), color(1), (v * 10.0).round() / 10.0), WHITE, 0.6),
            Colors::Classes => mix(color(v.max(0.0) as usize), WHITE, 0.6),
            Colors::Heat => heat(((v - low) / (high - low).max(f64::MIN_POSITIVE) * 24.0).round() / 24.0),
        };
        // The left edge of rectangle i lies halfway between two grid points, or at an end of the field.
        let edge = |i: usize, n: usize| (i as f64 - 0.5).clamp(0.0, (n - 1) as f64);
        // Corners are rounded to whole pixels: edges between pixels would leave seams.
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
/// Draws the mark of a point: a shape and color that depend on its class, or a ring.
fn mark(area: &Area<'_>, (x, y): Point, shape: usize, ring: bool) -> Result<(), ViewError> {
    let edge = BLACK.stroke_width(UNITS as u32 / 2);
    if ring {
        let ring = Circle::new((x, y), 7 * UNITS, BLACK.stroke_width(3 * UNITS as u32 / 2));
        return area.draw(&ring).map_err(failed);
    }
    let fill = color(shape).filled();
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

/// Draws the legend below the title, in as many rows as it needs, and returns where the plot begins.
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
            Layer::Line { color: i, dashed, .. } => line(dash(*dashed), color(*i))?,
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
