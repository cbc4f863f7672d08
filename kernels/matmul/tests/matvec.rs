//! A matrix times a vector, and its transpose, against the naive loop.

use super::super::matvec::{Matvec, MatvecT};
use super::*;

#[test]
fn matrix_vector_products_agree_with_the_naive_loop() {
    on_every_backend(|backend| {
        for (m, n) in LENGTHS.iter().flat_map(|m| [(*m, 5), (5, *m)]) {
            let (a, x, xt) = (values(m * n, 1), values(n, 2), values(m, 3));
            let view = MatRef::new(&a, m, n).unwrap();
            let (mut y, mut yt) = (vec![9.0; m], vec![9.0; n]);
            backend.run(Matvec {
                dst: &mut y,
                a: view,
                x: &x,
            });
            backend.run(MatvecT {
                dst: &mut yt,
                a: view,
                x: &xt,
            });
            for (i, y) in y.iter().enumerate() {
                let want: f32 = (0..n).map(|j| a[i * n + j] * x[j]).sum();
                assert_close(*y, want, tolerance::LINEAR, n as f32);
            }
            for (j, y) in yt.iter().enumerate() {
                let want: f32 = (0..m).map(|i| a[i * n + j] * xt[i]).sum();
                assert_close(*y, want, tolerance::LINEAR, m as f32);
            }
        }
    });
}

#[test]
fn half_vectors_give_the_bits_of_whole_ones() {
    let portable = Backend::Portable(crate::simd::Portable);
    for n in LENGTHS {
        let (a, x) = (values(7 * n, 1), values(n, 2));
        let a = MatRef::new(&a, 7, n).unwrap();
        let [mut wanted, mut got] = [[0.0; 7]; 2];
        let x = &x[..];
        #[rustfmt::skip]
        portable.run(Matvec { dst: &mut wanted, a, x });
        Matvec {
            dst: &mut got,
            a,
            x,
        }
        .narrow();
        assert_eq!(
            got.map(f32::to_bits),
            wanted.map(f32::to_bits),
            "length {n}"
        );
    }
}
