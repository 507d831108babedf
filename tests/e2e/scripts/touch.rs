// Touches fresh memory from Rust: touch WAY PAGES. It says "ready", reads a line, touches, and says
// where the memory lies and which function touched it.
use std::io::{BufRead, Write};

extern "C" {
    fn mmap(address: *mut u8, bytes: usize, protection: i32, flags: i32, fd: i32, at: i64) -> *mut u8;
    fn madvise(address: *mut u8, bytes: usize, advice: i32) -> i32;
}

#[inline(never)]
fn touch_in_rust(memory: *mut u8, bytes: usize) {
    for at in (0..bytes).step_by(4096) {
        unsafe { memory.add(at).write_volatile(1) };
    }
}

#[inline(never)]
fn pass(depth: usize, memory: *mut u8, bytes: usize) -> usize {
    if depth == 0 {
        touch_in_rust(memory, bytes);
        return 1;
    }
    std::hint::black_box(pass(depth - 1, memory, bytes)) + 1
}

#[inline(never)]
fn all(memory: *mut u8, bytes: usize) -> usize {
    std::hint::black_box(pass(5, memory, bytes)) + 1
}

fn line() {
    let mut text = String::new();
    std::io::stdin().lock().read_line(&mut text).unwrap();
}

fn main() {
    let way = std::env::args().nth(1).unwrap();
    let bytes = std::env::args().nth(2).unwrap().parse::<usize>().unwrap() * 4096;
    let memory = unsafe { mmap(std::ptr::null_mut(), bytes, 3, 0x22, -1, 0) };
    unsafe { madvise(memory, bytes, 15) };
    println!("ready");
    std::io::stdout().flush().unwrap();
    line();
    if way == "thread" {
        let at = memory as usize;
        std::thread::spawn(move || std::hint::black_box(all(at as *mut u8, bytes))).join().unwrap();
    } else {
        std::hint::black_box(all(memory, bytes));
    }
    println!(
        "{{\"figures\":{{\"toucher_at\":{},\"main_at\":{},\"memory_at\":{},\"memory_bytes\":{}}}}}",
        touch_in_rust as *const () as usize, all as *const () as usize, memory as usize, bytes
    );
    std::io::stdout().flush().unwrap();
    line();
}
