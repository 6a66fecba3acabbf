//! Adds up the numbers of each line that it is sent, or those of its arguments.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

fn sum(words: impl Iterator<Item = String>) -> String {
    let total: i64 = words.filter_map(|word| word.parse::<i64>().ok()).sum();
    itoa::Buffer::new().format(total).to_owned()
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.is_empty() {
        println!("{}", sum(arguments.into_iter()));
        return Ok(());
    }
    for stream in TcpListener::bind("0.0.0.0:7000")?.incoming() {
        let mut stream = stream?;
        let mut line = String::new();
        BufReader::new(stream.try_clone()?).read_line(&mut line)?;
        writeln!(stream, "{}", sum(line.split_whitespace().map(str::to_owned)))?;
    }
    Ok(())
}
