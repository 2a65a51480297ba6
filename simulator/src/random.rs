/// Steele, Lea and Flood's splitmix64: one addition and two multiplications a number, the same on every machine. Each use has a generator of its own, so that what one
/// draws changes nothing for another.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

const fn mixed(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Random {
    /// The generator of this seed and this place in the simulation.
    pub(crate) fn new(seed: u64, place: &[u64]) -> Self {
        Self(place.iter().fold(mixed(seed), |state, part| mixed(state ^ part.wrapping_add(STEP))))
    }

    /// 64 bits.
    #[inline]
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mixed(self.0)
    }

    /// A whole number below `bound`, by multiplication (Lemire): the unevenness is below 2^-32 for the small bounds used here. Zero for the bound zero.
    #[inline]
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        let wide = (self.bits() >> 32) * u64::from(bound);
        u32::try_from(wide >> 32).unwrap_or(0)
    }

    /// From 0 on, below 1, in steps of 2^-24.
    #[inline]
    pub(crate) fn unit(&mut self) -> f32 {
        let [high, middle, low, ..] = self.bits().to_be_bytes();
        // Every u24 is exact as f32.
        let whole = f32::from(high) * 65_536.0 + f32::from(u16::from_be_bytes([middle, low]));
        whole / 16_777_216.0
    }

    /// Mean 0, variance 1, at most 3.5 away from 0: the sum of four even numbers, near enough to a normal one for noise.
    #[inline]
    pub(crate) fn noise(&mut self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.bits().to_be_bytes();
        let sum = u32::from(u16::from_be_bytes([a, b]))
            + u32::from(u16::from_be_bytes([c, d]))
            + u32::from(u16::from_be_bytes([e, f]))
            + u32::from(u16::from_be_bytes([g, h]));
        // Four even numbers below 65,536: mean 131,070, variance 4 × 65,536² / 12.
        (sum as f32 - 131_070.0) / 37_837.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_are_those_of_splitmix64() {
        // From the authors' reference program with seed 1234567.
        let mut random = Random(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn each_place_has_numbers_of_its_own_and_the_same_place_the_same() {
        let draw = |place: &[u64]| Random::new(7, place).bits();
        assert_eq!(draw(&[1, 2]), draw(&[1, 2]));
        assert_ne!(draw(&[1, 2]), draw(&[2, 1]));
        assert_ne!(draw(&[0]), draw(&[0, 0]));
    }

    #[test]
    fn numbers_stay_in_their_bounds_and_are_even() {
        let mut random = Random::new(1, &[]);
        let mut counts = [0u32; 7];
        let (mut sum, mut noise, mut square) = (0.0, 0.0, 0.0);
        for _ in 0..70_000 {
            counts[random.below(7) as usize] += 1;
            let unit = random.unit();
            assert!((0.0..1.0).contains(&unit), "{unit}");
            sum += f64::from(unit);
            let drawn = f64::from(random.noise());
            assert!(drawn.abs() < 3.5, "{drawn}");
            noise += drawn;
            square += drawn * drawn;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        let [mean, noise, square] = [sum, noise, square].map(|sum| sum / 70_000.0);
        assert!((mean - 0.5).abs() < 0.01 && noise.abs() < 0.02 && (square - 1.0).abs() < 0.02, "{mean} {noise} {square}");
        assert_eq!(random.below(0), 0);
    }
}
