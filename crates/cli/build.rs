//! How the command line is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Each session starts this program again, as its warden. A program that can be loaded anywhere has tens of
    // thousands of addresses that are written at each start, which takes most of the time until `main`. What it
    // links to, its stack and its heap are at random addresses all the same.
    let target = |part: &str| std::env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
