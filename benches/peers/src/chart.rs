//! Draws results as an SVG of horizontal bars, one panel for each piece of work.
//!
//! A panel's bars share one scale, seconds of wall time; panels differ. Our bar and the floor's have colours of their
//! own. The picture has its own background, so that it reads on light and dark pages.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::peer::Peer;
use crate::results::{Results, Summary};
use crate::work::Work;

const WIDTH: u32 = 860;
const BAR: i32 = 20;
const GAP: i32 = 6;
const TITLE: i32 = 30;
const MARGIN: i32 = 16;
/// Where bars begin and how long the longest is.
const LEFT: i32 = 190;
const LONGEST: f64 = 520.0;
/// What the picture shows.
const SHOWN: [Work; 6] = [Work::Os, Work::Pull, Work::Update, Work::Small, Work::Many, Work::Big];

type Panel = (Work, Vec<(Peer, Summary)>);
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Writes the picture.
pub fn draw(results: &Results, path: &Path) -> Result<()> {
    let panels: Vec<Panel> = SHOWN.into_iter().filter_map(|work| panel(results, work)).collect();
    ensure!(!panels.is_empty(), "no results to draw");
    let height = panels.iter().map(height_of).sum::<i32>() + 2 * MARGIN;
    let area = SVGBackend::new(path, (WIDTH, height.unsigned_abs())).into_drawing_area();
    area.fill(&RGBColor(250, 250, 248))?;
    let mut top = MARGIN;
    for panel in &panels {
        draw_panel(&area, panel, top)?;
        top += height_of(panel);
    }
    area.present().with_context(|| format!("write {}", path.display()))
}

/// The rows of a work that we did ourselves.
fn panel(results: &Results, work: Work) -> Option<Panel> {
    let row = |peer: &Peer| Some((*peer, results.summary(work, *peer, Peer::Sealstone)?));
    let rows: Vec<_> = work.peers().iter().filter_map(row).collect();
    rows.iter().any(|(peer, _)| *peer == Peer::Sealstone).then_some((work, rows))
}

fn height_of((_, rows): &Panel) -> i32 {
    TITLE + (BAR + GAP) * i32::try_from(rows.len()).unwrap_or(0) + MARGIN
}

fn draw_panel(area: &Area, (work, rows): &Panel, top: i32) -> Result<()> {
    let ink = RGBColor(40, 40, 40);
    let text = |size: i32| ("sans-serif", size).into_font().color(&ink);
    area.draw(&Text::new(work.label(), (MARGIN, top + 6), text(17)))?;
    let longest = rows.iter().map(|(_, row)| row.wall).fold(f64::MIN_POSITIVE, f64::max);
    for (index, (peer, row)) in rows.iter().enumerate() {
        let y = top + TITLE + (BAR + GAP) * i32::try_from(index)?;
        #[allow(clippy::cast_possible_truncation, reason = "at most LONGEST")]
        let end = LEFT + (row.wall / longest * LONGEST) as i32;
        let colour = match peer {
            Peer::Sealstone => RGBColor(0, 110, 160),
            Peer::Floor => RGBColor(150, 150, 150),
            _ => RGBColor(214, 150, 90),
        };
        area.draw(&Text::new(peer.label(), (MARGIN, y + 3), text(14)))?;
        area.draw(&Rectangle::new([(LEFT, y), (end.max(LEFT + 1), y + BAR)], colour.filled()))?;
        let ratio = row.ratio.filter(|_| *peer != Peer::Sealstone);
        let times = ratio.map(|ratio| format!("  ({ratio:.2} ×)")).unwrap_or_default();
        area.draw(&Text::new(format!("{:.2} s{times}", row.wall), (end + 6, y + 3), text(14)))?;
    }
    Ok(())
}
