// Eight threads that fill vectors.
fn main() {
    let threads: Vec<_> = (0..8u64)
        .map(|t| std::thread::spawn(move || {
            (0..9999).map(|i| vec![t; i as usize % 100].iter().sum::<u64>()).sum::<u64>()
        }))
        .collect();
    for thread in threads {
        println!("{}", thread.join().unwrap());
    }
}
