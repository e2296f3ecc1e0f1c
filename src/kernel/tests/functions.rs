//! exp, ln and log1p of the end step, against arbitrary precision (dashu-float, whose functions are
//! correctly rounded; 120 bits here, so that the reference is off by 2^-120 at most).

use super::Random;
use crate::kernel::exp::{exp, ln, log1p};
use dashu_float::FBig;
use std::f64::consts::{LN_2, SQRT_2};

/// Bounds that hold for every argument tried, in units of 2^-52 of the true value. The errors depend
/// on the arguments drawn; the proof prints them.
const BOUNDS: [(&str, f64); 3] = [("exp", 20.0), ("ln", 3.0), ("log1p", 3.0)];

/// One function, its reference, and the arguments it is asked in the kernel.
struct Function {
    name: &'static str,
    of: fn(f64) -> f64,
    reference: fn(FBig) -> FBig,
    draw: fn(&mut Random) -> f64,
}

const FUNCTIONS: [Function; 3] = [
    Function { name: "exp", of: exp, reference: |x| x.exp(), draw: argument_of_exp },
    Function { name: "ln", of: ln, reference: |x| x.ln(), draw: argument_of_ln },
    Function { name: "log1p", of: log1p, reference: |x| x.ln_1p(), draw: argument_of_log1p },
];

/// Within the range, near 0, and near where the reduction changes.
fn argument_of_exp(random: &mut Random) -> f64 {
    let t = random.unit();
    match random.next() % 4 {
        0 => -708.0 * t,
        1 => 700.0 * t,
        2 => (t - 0.5) * 2f64.powi(-(random.next() as i32 & 63)),
        _ => ((t * 16_000.0).floor() - 8_000.0 + 0.5) / 8.0 * LN_2 + (random.unit() - 0.5) * 1e-12,
    }
}

/// Sums from 2^-126 to 2^144 and beyond, near 1, and near where the reduction changes.
fn argument_of_ln(random: &mut Random) -> f64 {
    let t = random.unit();
    match random.next() % 4 {
        0 => 2f64.powf(t * 270.0 - 126.0),
        1 => 2f64.powf(t * 2044.0 - 1021.0),
        2 => 1.0 + (t - 0.5) * 2f64.powi(-((random.next() % 52) as i32)),
        _ => SQRT_2 / 2.0 * (1.0 + (t - 0.5) * 1e-3) * 2f64.powi(random.next() as i32 & 3),
    }
}

/// From 0 to 1: uniform, by magnitude, and near where the method changes.
fn argument_of_log1p(random: &mut Random) -> f64 {
    let t = random.unit();
    match random.next() % 4 {
        0 => t,
        1 => 2f64.powf(-1020.0 * t),
        2 => 0.414 + (t - 0.5) * 1e-3,
        _ => 1.0 - t * t * 1e-3,
    }
}

/// |got / reference - 1| in units of 2^-52.
fn error(function: &Function, x: f64) -> f64 {
    let wide = |x: f64| FBig::try_from(x).unwrap().with_precision(120).value();
    let (got, want) = ((function.of)(x), (function.reference)(wide(x)));
    if wide(got) == want {
        return 0.0;
    }
    let relative = (wide(got) - &want) / want;
    relative.to_f64().value().abs() * 2f64.powi(52)
}

/// The largest error over so many arguments, and where it is.
fn worst(function: &Function, arguments: u32) -> (f64, f64) {
    let mut random = Random(u64::from(arguments));
    let draw = |_| {
        let x = (function.draw)(&mut random);
        (error(function, x), x)
    };
    (0..arguments).map(draw).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
}

fn check(arguments: u32) {
    for (function, (name, bound)) in FUNCTIONS.iter().zip(BOUNDS) {
        let (error, x) = worst(function, arguments);
        println!("{name}: {arguments} arguments, at most {error:.2} units of 2^-52, at {x:e}");
        assert_eq!(function.name, name);
        assert!(error <= bound, "{name} {x:e}: {error}");
    }
}

#[test]
fn f64_functions_keep_their_bounds() {
    check(2_000);
}

#[test]
#[ignore = "minutes: make prove"]
fn prove_f64_functions() {
    check(300_000);
}
