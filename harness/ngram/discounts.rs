//! The modified discounts of one order, and what a list of counts gives up under them.

/// What a count of one, of two, and of three or more gives up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Discounts(pub(super) [f64; 3]);

/// Sums over the counts of one context's successors.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    total: u64,
    ones: u32,
    twos: u32,
    /// Three and above.
    others: u32,
}

impl Discounts {
    /// Chen and Goodman's estimate from how many counts are 1, 2, 3 and 4.
    ///
    /// Where a text is too small or too regular to estimate from, a count of `i` gives up `i / 2`:
    /// with nothing given up, what was never seen would be impossible, and with all of it, what was
    /// seen would count for nothing.
    pub(super) fn estimate(counts: &[u32]) -> Self {
        let mut n = [0.0_f64; 4];
        for count in counts {
            if let Some(slot) = (*count as usize).checked_sub(1).and_then(|i| n.get_mut(i)) {
                *slot += 1.0;
            }
        }
        let y = n[0] / (n[0] + 2.0 * n[1]);
        let discount = |i: usize| {
            let count = i as f64 + 1.0;
            let estimate = count - (count + 1.0) * y * n[i + 1] / n[i];
            if estimate > 0.0 && estimate < count {
                estimate
            } else {
                0.5 * count
            }
        };
        Self([discount(0), discount(1), discount(2)])
    }

    /// Whether no count gives up more than it has, which keeps probabilities between 0 and 1.
    pub(super) fn are_valid(self) -> bool {
        let mut limits = self.0.iter().zip([1.0, 2.0, 3.0]);
        limits.all(|(discount, count)| (0.0..=count).contains(discount))
    }

    /// What a count gives up.
    #[inline]
    pub(super) fn of(self, count: u32) -> f64 {
        match count {
            0 => 0.0,
            1..3 => self.0[count as usize - 1],
            _ => self.0[2],
        }
    }

    /// What a list of counts gives up altogether.
    #[inline]
    pub(super) fn left(self, sums: Sums) -> f64 {
        let [one, two, more] = self.0;
        one * f64::from(sums.ones) + two * f64::from(sums.twos) + more * f64::from(sums.others)
    }
}

impl Sums {
    /// Of a list of counts, which are fewer than 32 bits can count.
    #[inline]
    pub(super) fn of(counts: &[u32]) -> Self {
        Self {
            total: counts.iter().map(|count| u64::from(*count)).sum(),
            ones: counts.iter().map(|count| u32::from(*count == 1)).sum(),
            twos: counts.iter().map(|count| u32::from(*count == 2)).sum(),
            others: counts.iter().map(|count| u32::from(*count > 2)).sum(),
        }
    }

    /// All counts together.
    #[inline]
    pub(super) fn total(self) -> f64 {
        self.total as f64
    }
}
