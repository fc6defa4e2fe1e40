//! Many at once: memory stays bounded, and who cannot be served soon is told at once.

use crate::harness::{Picture, Setup};

#[test]
fn when_the_queue_is_full_the_answer_is_503_with_retry_after() {
    let server = Setup::new()
        .env("PIXCOLOR_LIMITS__PIXELS", "4000000")
        .env("PIXCOLOR_LIMITS__DECODING_PIXELS", "4000000")
        .env("PIXCOLOR_LIMITS__WAITING", "1")
        .start();
    let picture = Picture::png(2000, 2000, 1);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| server.colorize(&picture))).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(served >= 2, "one is decoded, one waits: {served}");
    assert!(served < 8, "nobody was turned away");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.problem(503);
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    }
}
