//! Does what programs did with Algorithmia's own client. Prints the result of each step as JSON.

use std::fmt::Display;

use algorithmia::algo::ByteVec;
use algorithmia::data::{DataItem, DataType, HasDataPath, ReadAcl};
use algorithmia::Algorithmia;
use base64::engine::general_purpose::STANDARD as BASE64;
use base64::Engine;
use serde_json::{json, Map, Value};

/// The value of a step, or its error with all causes.
fn step<T: Into<Value>, E: Display + std::error::Error>(result: Result<T, E>) -> Value {
    match result {
        Ok(value) => value.into(),
        Err(error) => {
            let mut text = format!("error: {error}");
            let mut source = error.source();
            while let Some(error) = source {
                text += &format!(": {error}");
                source = error.source();
            }
            text.into()
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, key, picture] = args.as_slice() else { panic!("usage: session ADDRESS KEY PICTURE") };
    let client = Algorithmia::client_with_url(key.as_str(), address.as_str()).expect("a client");
    let mut said = Map::new();
    let mut note = |name: &str, value: Value| drop(said.insert(name.to_owned(), value));

    let hello = client.algo("demo/Hello").pipe("HAL 9000");
    note("hello", step(hello.map(|answer| answer.as_string().unwrap_or_default().to_owned())));
    let mut algorithm = client.algo("deeplearning/ColorfulImageColorization/1.1.5");
    algorithm.timeout(60).stdout(true);
    let colored = algorithm.pipe(json!({ "image": picture })).expect("it is coloured");
    note("duration", colored.metadata.duration.into());
    note("stdout", colored.metadata.stdout.clone().into());
    let output: Value = colored.decode().expect("JSON");
    let uri = output["output"].as_str().expect("a URI").to_owned();
    let file = client.file(&uri);
    note("exists", step(file.exists()));
    note("colour", step(file.get().map(|data| BASE64.encode(data.into_bytes().expect("bytes")))));
    let octets = ByteVec::from(BASE64.decode(picture.split_once(',').expect("a data URL").1).expect("base64"));
    let octets = client.algo("deeplearning/ColorfulImageColorization").pipe(octets);
    note("octets", step(octets.map(|answer| answer.to_json().unwrap_or_default())));
    let text = |answer: algorithmia::algo::AlgoResponse| answer.to_json().unwrap_or_default();
    note("unknown_algorithm", step(client.algo("util/whoopsWrongAlgo").pipe("x").map(text)));
    let words = ByteVec::from(b"words".to_vec());
    note("not_a_picture", step(client.algo("deeplearning/ColorfulImageColorization").pipe(words).map(text)));
    let wrong = Algorithmia::client_with_url("simWRONG", address.as_str()).expect("a client");
    note("wrong_key", step(wrong.algo("demo/Hello").pipe("x").map(text)));
    let gone = client.file("data://.algo/o/n/temp/no.png");
    note("gone", step(gone.get().map(|data| data.size)));
    note("gone_exists", step(gone.exists()));

    let droids = client.dir("data://.my/droids");
    note("create", step(droids.create(ReadAcl::Private).map(|()| true)));
    let file = droids.child::<algorithmia::data::DataFile>("R2 D2.txt");
    note("put", step(file.put("beep").map(|()| true)));
    note("get", step(file.get().map(|data| data.into_string().expect("text"))));
    let listed = droids.list().map(|item| match item {
        Ok(DataItem::File(item)) => json!([item.basename(), item.size]),
        Ok(DataItem::Dir(item)) => json!([item.basename(), "folder"]),
        Err(error) => format!("error: {error}").into(),
    });
    note("list", listed.collect::<Vec<_>>().into());
    let kind = client.data("data://.my/droids").get_type();
    note("is_folder", step(kind.map(|kind| matches!(kind, DataType::Dir))));
    note("delete_full", step(droids.delete(false).map(|gone| gone.deleted)));
    note("delete_file", step(file.delete().map(|()| true)));
    note("delete", step(droids.delete(true).map(|gone| gone.deleted)));
    note("deleted", step(droids.exists()));
    println!("{}", Value::Object(said));
}
