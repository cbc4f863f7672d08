//! Each operation against plain scalar code, lane by lane, on every backend.

use super::*;
use crate::rng::Rng;
use crate::testing::{on_every_backend, values};

/// Applies one operation of three operands and compares it with its scalar meaning.
struct Apply<F> {
    operands: [[f32; LANES]; 3],
    op: F,
}

trait Operation {
    fn vector<S: Simd>(&self, simd: S, x: [S::V; 3]) -> S::V;
    fn scalar(&self, fused: bool, x: [f32; 3]) -> f32;
}

impl<F: Operation> Kernel for Apply<F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut got = [0.0; LANES];
        simd.store(
            self.op.vector(simd, self.operands.map(|x| simd.load(&x))),
            &mut got,
        );
        for (lane, got) in got.into_iter().enumerate() {
            let x = self.operands.map(|x| x[lane]);
            let want = self.op.scalar(S::FUSED, x);
            assert!(
                got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan()),
                "{x:?}: got {got}, want {want}"
            );
        }
    }
}

macro_rules! operation {
    ($name:ident, |$simd:ident, $a:ident, $b:ident, $c:ident| $vector:expr, |$fused:ident| $scalar:expr) => {
        #[test]
        fn $name() {
            struct Op;
            impl Operation for Op {
                #[inline(always)]
                fn vector<S: Simd>(&self, $simd: S, [$a, $b, $c]: [S::V; 3]) -> S::V {
                    let _ = ($a, $b, $c);
                    $vector
                }
                fn scalar(&self, $fused: bool, [$a, $b, $c]: [f32; 3]) -> f32 {
                    let _ = ($a, $b, $c, $fused);
                    $scalar
                }
            }
            on_every_backend(|backend| {
                for operands in operands() {
                    backend.run(Apply { operands, op: Op });
                }
            });
        }
    };
}

/// Random lanes, and lanes that mix NaN, infinities, zeros of both signs and extremes.
fn operands() -> [[[f32; LANES]; 3]; 2] {
    let random = |seed| values(LANES, seed).try_into().unwrap();
    let odd = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        0.0,
        -0.0,
        1.0,
        -1.0,
        f32::MAX,
    ];
    let extreme = |shift: usize| core::array::from_fn(|i| odd[(i / 2 + shift * (i % 3)) % 8]);
    [
        [random(1), random(2), random(3)],
        [extreme(0), extreme(1), extreme(2)],
    ]
}

operation!(add_is_plus, |s, a, b, _c| s.add(a, b), |_f| a + b);
operation!(sub_is_minus, |s, a, b, _c| s.sub(a, b), |_f| a - b);
operation!(mul_is_times, |s, a, b, _c| s.mul(a, b), |_f| a * b);
operation!(div_is_divided, |s, a, b, _c| s.div(a, b), |_f| a / b);
operation!(
    mul_add_rounds_as_its_class_says,
    |s, a, b, c| s.mul_add(a, b, c),
    |fused| if fused {
        libm::fmaf(a, b, c)
    } else {
        a * b + c
    }
);
operation!(
    select_takes_the_second_on_nan,
    |s, a, b, c| s.select_gt(a, b, c, b),
    |_f| if a > b { c } else { b }
);
operation!(
    max_takes_the_second_on_nan,
    |s, a, b, _c| s.max(a, b),
    |_f| if a > b { a } else { b }
);
operation!(
    min_takes_the_second_on_nan,
    |s, a, b, _c| s.min(a, b),
    |_f| if a < b { a } else { b }
);
operation!(
    add_to_exponent_shifts_bits,
    |s, a, b, _c| s.add_to_exponent(a, b),
    |_f| f32::from_bits(a.to_bits().wrapping_add(b.to_bits() << 23))
);

struct Partial<'a>(&'a [f32]);

impl Kernel for Partial<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for len in 0..=LANES {
            let v = simd.load_partial(&self.0[..len]);
            let mut all = [9.0; LANES];
            simd.store(v, &mut all);
            assert_eq!(&all[..len], &self.0[..len]);
            assert!(all[len..].iter().all(|x| *x == 0.0));
            let mut some = [9.0; LANES + 1];
            simd.store_partial(v, &mut some[..len]);
            assert_eq!(&some[..len], &self.0[..len]);
            assert!(some[len..].iter().all(|x| *x == 9.0));
        }
    }
}

#[test]
fn partial_loads_and_stores_touch_their_lanes_alone() {
    on_every_backend(|backend| backend.run(Partial(&values(LANES, 7))));
}

struct Reduce<'a>(&'a [f32; LANES]);

impl Kernel for Reduce<'_> {
    type Output = (u32, u32);
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> (u32, u32) {
        let v = simd.load(self.0);
        (simd.reduce_sum(v).to_bits(), simd.reduce_max(v).to_bits())
    }
}

#[test]
fn reductions_fold_halves() {
    let lanes: [f32; LANES] = values(LANES, 8).try_into().unwrap();
    let mut tree = lanes.to_vec();
    while tree.len() > 1 {
        let half = tree.split_off(tree.len() / 2);
        tree.iter_mut().zip(half).for_each(|(a, b)| *a += b);
    }
    let max = lanes.into_iter().fold(f32::MIN, f32::max);
    on_every_backend(|backend| {
        assert_eq!(
            backend.run(Reduce(&lanes)),
            (tree[0].to_bits(), max.to_bits())
        );
    });
}

struct ReduceFour<'a>(&'a [[f32; LANES]; 4]);

impl Kernel for ReduceFour<'_> {
    type Output = ([u32; 4], [u32; 4]);
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let [a, b, c, d] = self.0;
        let vectors = [simd.load(a), simd.load(b), simd.load(c), simd.load(d)];
        let one_by_one = vectors.map(|v| simd.reduce_sum(v).to_bits());
        (
            simd.reduce_sum_of_four(vectors).map(f32::to_bits),
            one_by_one,
        )
    }
}

#[test]
fn four_sums_at_once_have_the_bits_of_four_sums() {
    let rows = [1, 2, 3, 4].map(|seed| values(LANES, seed).try_into().unwrap());
    on_every_backend(|backend| {
        let (at_once, one_by_one) = backend.run(ReduceFour(&rows));
        assert_eq!(at_once, one_by_one);
    });
}

struct Transpose<'a>(&'a [f32]);

impl Kernel for Transpose<'_> {
    type Output = [[f32; LANES]; LANES];
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let mut rows = [simd.splat(0.0); LANES];
        for (row, x) in rows.iter_mut().zip(self.0.as_chunks().0) {
            *row = simd.load(x);
        }
        simd.transpose(rows).map(|column| {
            let mut x = [0.0; LANES];
            simd.store(column, &mut x);
            x
        })
    }
}

#[test]
fn transpose_swaps_vectors_and_lanes() {
    let x = values(LANES * LANES, 7);
    on_every_backend(|backend| {
        for (j, column) in backend.run(Transpose(&x)).iter().enumerate() {
            for (i, got) in column.iter().enumerate() {
                assert_eq!(*got, x[i * LANES + j], "vector {j}, lane {i}");
            }
        }
    });
}

#[test]
fn a_part_called_out_of_line_computes_the_same() {
    struct Outer<'a>(&'a [f32; LANES]);
    impl Kernel for Outer<'_> {
        type Output = (u32, u32);
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            simd.call(Reduce(self.0))
        }
    }
    let lanes: [f32; LANES] = values(LANES, 9).try_into().unwrap();
    on_every_backend(|backend| {
        assert_eq!(backend.run(Outer(&lanes)), backend.run(Reduce(&lanes)));
    });
}

struct Between<'a>(&'a [u8; BYTES], u8, u8);

impl Kernel for Between<'_> {
    type Output = u64;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> u64 {
        simd.bytes_between(simd.load_bytes(self.0), self.1, self.2)
    }
}

#[test]
fn bytes_are_between_bounds_that_belong_to_the_range() {
    on_every_backend(|backend| {
        for (low, high) in [(0, 0), (0, 127), (b'a', b'z'), (128, 255), (0, 255), (7, 7)] {
            for start in 0..=255_u8 {
                let bytes = core::array::from_fn(|i| start.wrapping_add((i * 5) as u8));
                let bit = |i: usize| u64::from((low..=high).contains(&bytes[i])) << i;
                let want = (0..BYTES).map(bit).sum();
                assert_eq!(backend.run(Between(&bytes, low, high)), want);
            }
        }
    });
}

struct InSet<'a>(&'a [u8; BYTES], u64, u64);

impl Kernel for InSet<'_> {
    type Output = u64;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> u64 {
        simd.bytes_in_set(simd.load_bytes(self.0), self.1, self.2)
    }
}

#[test]
fn bytes_are_in_a_set_by_their_last_six_bits() {
    on_every_backend(|backend| {
        for (set, lanes) in [
            (0x1234_5678_9ABC_DEF1, !0),
            (!0, 0xF0F0),
            (1, !1),
            (1 << 63, !0),
        ] {
            for start in 0..=255_u8 {
                let bytes = core::array::from_fn(|i| start.wrapping_add((i * 5) as u8));
                let bit = |i: usize| (set >> (bytes[i] % 64) & 1) << i;
                let want = (0..BYTES).map(bit).sum::<u64>() & lanes;
                assert_eq!(backend.run(InSet(&bytes, set, lanes)), want);
            }
        }
    });
}

struct WritePlaces(u64, u32);

impl Kernel for WritePlaces {
    type Output = [u32; BYTES];
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> [u32; BYTES] {
        let mut places = [7; BYTES];
        simd.write_places(self.0, self.1, &mut places);
        places
    }
}

#[test]
fn places_of_bits_are_written_in_order() {
    on_every_backend(|backend| {
        let mut rng = Rng::new(41);
        let mut masks = [0, 1, 1 << 63, u64::MAX, u64::MAX >> 1].to_vec();
        masks.extend((0..2_000).map(|_| rng.next_u64() & rng.next_u64()));
        for (base, mask) in (0..).step_by(977).zip(masks) {
            let bits = (0..64).filter(|i| mask >> i & 1 != 0);
            let places = backend.run(WritePlaces(mask, base));
            let places = places.iter().take(mask.count_ones() as usize);
            assert!(bits.map(|i| base + i).eq(places.copied()), "{mask:x}");
        }
    });
}
