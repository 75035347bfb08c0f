//! Curves that show the quality of predicted probabilities: ROC, precision-recall, reliability.

/// Rates of classifying one class against the others, at every threshold of its predicted probability.
pub(crate) struct Thresholds {
    /// The ROC curve: (false positive rate, true positive rate), from (0, 0) to (1, 1).
    pub(crate) roc: Vec<(f64, f64)>,
    /// The precision-recall curve: (recall, precision).
    pub(crate) precision_recall: Vec<(f64, f64)>,
    /// Area under the ROC curve.
    pub(crate) area: f64,
    /// Share of the rows that are of the class, which is the precision of random guessing.
    pub(crate) share: f64,
}

impl Thresholds {
    /// From the probability of the class for each row, and whether the row is of the class. None if all rows are, or none is.
    pub(crate) fn new(probabilities: &[f64], is: &[bool]) -> Option<Self> {
        let positives = is.iter().filter(|b| **b).count() as f64;
        let negatives = is.len() as f64 - positives;
        if positives == 0.0 || negatives == 0.0 {
            return None;
        }
        let mut rows: Vec<usize> = (0..is.len()).collect();
        rows.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        let (mut roc, mut precision_recall) = (vec![(0.0, 0.0)], Vec::new());
        let (mut right, mut wrong, mut area) = (0.0, 0.0, 0.0);
        for tied in rows.chunk_by(|&a, &b| probabilities[a] == probabilities[b]) {
            let hits = tied.iter().filter(|&&row| is[row]).count() as f64;
            let misses = tied.len() as f64 - hits;
            area += misses * (right + hits / 2.0);
            (right, wrong) = (right + hits, wrong + misses);
            roc.push((wrong / negatives, right / positives));
            precision_recall.push((right / positives, right / (right + wrong)));
        }
        let area = area / (positives * negatives);
        Some(Self { roc, precision_recall, area, share: positives / is.len() as f64 })
    }
}

/// The points of a reliability diagram with `bins` equal bins of the probability of the predicted class: its mean, the share of
/// correct rows, and the number of rows. Empty bins are left out.
pub(crate) fn reliability(sure: &[f64], right: &[bool], bins: usize) -> Vec<(f64, f64, usize)> {
    let mut sums = vec![(0.0, 0.0, 0); bins];
    for (p, right) in sure.iter().zip(right) {
        let bin = &mut sums[((*p * bins as f64) as usize).min(bins - 1)];
        *bin = (bin.0 + p, bin.1 + f64::from(u8::from(*right)), bin.2 + 1);
    }
    let mean = |(p, right, n): (f64, f64, usize)| (p / n as f64, right / n as f64, n);
    sums.into_iter().filter(|bin| bin.2 > 0).map(mean).collect()
}

/// At most `most` of the points, evenly spaced by index, including the first and the last.
pub(crate) fn thinned<T: Copy>(points: &[T], most: usize) -> Vec<T> {
    if points.len() <= most {
        return points.to_vec();
    }
    (0..most).map(|i| points[i * (points.len() - 1) / (most - 1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_by_hand() {
        // By falling probability: of the class, not of it, of it, then one of each, tied.
        let t = Thresholds::new(&[0.9, 0.8, 0.7, 0.1, 0.1], &[true, false, true, true, false]).unwrap();
        let third = 1.0 / 3.0;
        assert_eq!(t.roc, [(0.0, 0.0), (0.0, third), (0.5, third), (0.5, 2.0 * third), (1.0, 1.0)]);
        let expected = [(third, 1.0), (third, 0.5), (2.0 * third, 2.0 / 3.0), (1.0, 0.6)];
        assert_eq!(t.precision_recall, expected);
        // Of six pairs, three and a half are in order: 0.9 before both; 0.7 before one; 0.1 tied with one.
        assert!((t.area - 3.5 / 6.0).abs() < 1e-12, "{}", t.area);
        assert_eq!(t.share, 0.6);
        assert!(Thresholds::new(&[0.5], &[true]).is_none());
    }

    #[test]
    fn bins_compare_probability_and_share_of_correct_rows() {
        let bins = reliability(&[0.55, 0.65, 1.0, 0.95], &[true, false, true, true], 2);
        assert_eq!(bins.len(), 1);
        assert!((bins[0].0 - 0.7875).abs() < 1e-6 && bins[0].1 == 0.75 && bins[0].2 == 4);
        assert_eq!(reliability(&[0.2], &[false], 10), [(0.2, 0.0, 1)]);
    }

    #[test]
    fn thinned_points_include_both_ends() {
        let points: Vec<usize> = (0..101).collect();
        assert_eq!(thinned(&points, 5), [0, 25, 50, 75, 100]);
        assert_eq!(thinned(&points[..3], 5), [0, 1, 2]);
    }
}
