fn main() {
    let mut integers = itoa::Buffer::new();
    let mut floats = ryu::Buffer::new();
    let built: u64 = env!("BUILT").parse().unwrap();
    println!("{} {}", integers.format(built), floats.format(1.5));
}

#[test]
fn it_holds() {
    assert_eq!(itoa::Buffer::new().format(7), "7");
}
