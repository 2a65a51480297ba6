//! Curves as SVG. Text stays text, in whatever sans-serif font the reader has.

use crate::report::{Contender, Row, SetReport};
use crate::settings::Settings;
use crate::trail::Trail;
use gleaner_estimator::PolicyName;
use gleaner_model::MilliCpu;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::FontFamily;
use std::ops::Range;
use thiserror::Error;

/// A picture that could not be drawn.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot draw {what}: {cause}")]
pub struct PlotError {
    /// Which.
    pub what: &'static str,
    /// Why not.
    pub cause: String,
}

const SIZE: (u32, u32) = (1000, 600);
const GREY: RGBColor = RGBColor(110, 110, 110);
const RED: RGBColor = RGBColor(200, 30, 30);
const LIGHT_RED: RGBColor = RGBColor(240, 150, 140);
/// Okabe and Ito's colours, told apart by those who see few; one a policy, so that it has the same in all pictures.
const COLOURS: [RGBColor; 7] = [
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(0, 114, 178),
    RGBColor(150, 120, 20),
    RGBColor(0, 0, 0),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failed = Box<dyn std::error::Error>;

fn draw(what: &'static str, paint: impl FnOnce(&Area<'_>) -> Result<(), Failed>) -> Result<String, PlotError> {
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
    let painted = area.fill(&WHITE).map_err(Failed::from).and_then(|()| paint(&area)).and_then(|()| Ok(area.present()?));
    drop(area);
    painted.map(|()| text).map_err(|error| PlotError { what, cause: error.to_string() })
}

fn colour(name: PolicyName) -> RGBColor {
    let at = PolicyName::ALL.iter().position(|each| *each == name);
    at.and_then(|at| COLOURS.get(at)).copied().unwrap_or(GREY)
}

fn font(size: u32) -> TextStyle<'static> {
    (FontFamily::SansSerif, size).into()
}

/// Less violation than this is drawn as this: a logarithm of zero is nowhere.
const LEAST: f64 = 0.0001;

/// What was lent against what was violated: a line a policy through its margins, the configured one filled.
///
/// # Errors
/// When it cannot be drawn.
pub fn curves(part: &SetReport) -> Result<String, PlotError> {
    draw("the curves", |area| {
        let title = format!("{}: lent against violated, by margin", part.name);
        let mut chart = ChartBuilder::on(area)
            .caption(title, font(20))
            .margin(16)
            .x_label_area_size(48)
            .y_label_area_size(64)
            .build_cartesian_2d((LEAST..100.0).log_scale(), lent_range(&part.rows))?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .label_style(font(14))
            .axis_desc_style(font(15))
            .x_desc(format!("time with a violation in % ({LEAST} stands for less)"))
            .y_desc("lent in % of a clairvoyant")
            .x_label_formatter(&f64::to_string)
            .y_label_formatter(&|lent| format!("{lent:.0}"))
            .draw()?;
        for name in PolicyName::ALL {
            let rows: Vec<&Row> = part.rows.iter().filter(|row| row.policy == name && row.lent_percent.is_some()).collect();
            if rows.is_empty() {
                continue;
            }
            let colour = colour(name);
            let at = |row: &Row| (row.violation_percent.clamp(LEAST, 100.0), row.lent_percent.unwrap_or(0.0));
            chart
                .draw_series(LineSeries::new(rows.iter().map(|row| at(row)), colour.stroke_width(2)))?
                .label(name.as_str())
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], colour.stroke_width(2)));
            chart.draw_series(rows.iter().map(|row| match row.chosen {
                true => Circle::new(at(row), 6, colour.filled()),
                false => Circle::new(at(row), 3, colour.stroke_width(1)),
            }))?;
        }
        let place = SeriesLabelPosition::LowerRight;
        chart.configure_series_labels().position(place).background_style(WHITE.mix(0.8)).border_style(GREY).label_font(font(14)).draw()?;
        Ok(())
    })
}

/// From a little below the least to a little above the most, never empty.
fn lent_range(rows: &[Row]) -> Range<f64> {
    let lent = || rows.iter().filter_map(|row| row.lent_percent);
    let (least, most) = (lent().fold(100.0, f64::min), lent().fold(0.0, f64::max));
    (least - 2.0).max(0.0)..(most + 2.0).max(least + 4.0)
}

fn cpus(cpu: MilliCpu) -> f64 {
    cpu.get() as f64 / 1000.0
}

/// Room for the names beside two days.
const BESIDE: f64 = 1.35;

/// Two days of one node: what the others wanted, what was free, what each policy as configured had promised.
///
/// # Errors
/// When it cannot be drawn.
pub fn days(title: &str, trail: &Trail, contenders: &[Contender], settings: &Settings) -> Result<String, PlotError> {
    let machine = settings.machine();
    let hours = |at: std::time::Duration| at.as_secs_f64() / 3600.0;
    let last = trail.points().last().map_or(1.0, |(at, _)| hours(at).max(1.0));
    let demand: Vec<_> = trail.points().filter_map(|(at, point)| Some((hours(at), point.demand?))).collect();
    draw("two days of a node", |area| {
        let most = cpus(machine.capacity);
        let mut chart = ChartBuilder::on(area)
            .caption(format!("{title}: two days of a node"), font(20))
            .margin(16)
            .x_label_area_size(48)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..last * BESIDE, 0.0..most)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .label_style(font(14))
            .axis_desc_style(font(15))
            .x_desc("hours after the warm-up")
            .x_label_formatter(&|hour| format!("{hour:.0}"))
            .y_label_formatter(&|cpus| format!("{cpus:.0}"))
            .y_desc("CPUs; promises: the highest of each two minutes")
            .draw()?;
        let mut line = |label: &str, points: Vec<(f64, f64)>, colour: RGBColor, width: u32| -> Result<(), Failed> {
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(width)))?
                .label(label)
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], colour.stroke_width(width)));
            Ok(())
        };
        line("capacity less reserve", [0.0, last].map(|x| (x, cpus(machine.free(MilliCpu::ZERO)))).to_vec(), RED, 1)?;
        line("demand of the others, at most", demand.iter().map(|(at, demand)| (*at, cpus(*demand))).collect(), GREY, 1)?;
        line("free, at least", demand.iter().map(|(at, demand)| (*at, cpus(machine.free(*demand)))).collect(), LIGHT_RED, 1)?;
        for (number, contender) in contenders.iter().enumerate().filter(|(_, contender)| contender.chosen) {
            let promise = |point: &crate::trail::Point| point.promises.get(number).copied().unwrap_or_default();
            let promises = trail.points().map(|(at, point)| (hours(at), cpus(promise(point)))).collect();
            line(contender.name.as_str(), promises, colour(contender.name), 1)?;
        }
        let place = SeriesLabelPosition::UpperRight;
        chart.configure_series_labels().position(place).background_style(WHITE.mix(0.8)).border_style(GREY).label_font(font(14)).draw()?;
        Ok(())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::report::{Report, contenders};
    use crate::run::NodeOutcome;
    use crate::score::Score;
    use gleaner_estimator::Policy;

    /// Whether every element that begins ends, and nothing is beside the one that holds all.
    fn is_whole(svg: &str) -> bool {
        let mut open: Vec<&str> = Vec::new();
        let mut seen = 0;
        for tag in svg.split('<').skip(1).filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag)) {
            let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or("");
            seen += 1;
            match (tag.starts_with('/'), tag.ends_with('/')) {
                (true, _) if open.pop() != Some(name) => return false,
                (true, _) | (false, true) => {}
                (false, false) => open.push(name),
            }
        }
        open.is_empty() && seen > 20 && svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>")
    }

    fn report(lent: u64, clairvoyant: u64, violations: u64) -> (Report, Vec<Contender>) {
        let settings = Settings::default();
        let contenders = contenders(&PolicyName::ALL, &Policy::default(), settings.machine(), true);
        let score = Score { seconds: 1000, capacity: 48_000_000, lent, violation_seconds: violations, ..Score::default() };
        let scores = vec![[Score::default(), score]; contenders.len()];
        let mut report = Report::new(settings);
        let set = crate::play::tests::flat(&[&[Some(1.0)]]);
        report.add(&set, &[], &contenders, &[NodeOutcome { clairvoyant: [0, clairvoyant], scores, trail: None }]);
        (report, contenders)
    }

    #[test]
    fn curves_are_drawn_of_any_figures() {
        for (lent, clairvoyant, violations) in [(900, 1000, 3), (0, 0, 0), (0, 1000, 1000), (5000, 1000, 0)] {
            let (report, _) = report(lent, clairvoyant, violations);
            let svg = curves(report.sets.first().unwrap()).unwrap();
            assert!(is_whole(&svg), "{lent} {clairvoyant} {violations}: {svg}");
            let named = PolicyName::ALL.iter().all(|name| svg.contains(name.as_str()));
            assert_eq!(named, clairvoyant > 0, "{svg}");
        }
    }

    #[test]
    fn two_days_are_drawn_even_if_nothing_is_known_of_them() {
        let (report, contenders) = report(1, 1, 1);
        let mut trail = Trail::new(0, 1);
        let empty = days("empty", &trail, &contenders, &report.settings).unwrap();
        assert!(is_whole(&empty), "{empty}");
        for second in 0..1000 {
            let demand = (second > 300).then_some(MilliCpu::new(second));
            trail.step(second, demand, contenders.iter().map(|_| MilliCpu::new(2 * second)));
        }
        let svg = days("<node & co>", &trail, &contenders, &report.settings).unwrap();
        assert!(is_whole(&svg) && svg.contains("&lt;node &amp; co&gt;") && svg.contains("composite"), "{svg}");
    }
}
