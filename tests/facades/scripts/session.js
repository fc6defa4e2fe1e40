// A session with the vendor's own client for Node. Prints the result of each step as JSON.
const algorithmia = require(process.argv[2]);
const [address, key, picture] = process.argv.slice(3);
const client = algorithmia(key, address);
const said = {};

// Runs a step and records its result. Some errors make this client never call back: then the result is an error after
// 60 seconds.
const step = (name, work) =>
  new Promise((done) => {
    const late = setTimeout(() => { said[name] = "error: the client did not call back"; done(); }, 60000);
    const end = (value) => { clearTimeout(late); said[name] = value; done(); };
    try { work(end); } catch (error) { end("error: " + error); }
  });
const result = (end) => (response) => {
  try { end(response.get()); } catch (error) { end("error: " + error); }
};
const text = (end) => (response) => end(response && response.error ? "error: " + response.error.message : response);

(async () => {
  await step("hello", (end) => client.algo("demo/Hello").pipe("HAL 9000").then(result(end)));
  await step("colour", (end) =>
    client.algo("deeplearning/ColorfulImageColorization/1.1.5?timeout=60").pipe({ image: picture }).then(result(end)));
  const output = said.colour.output;
  await step("exists", (end) => client.file(output).exists((there, status) => end([there, status || 200])));
  await step("get", (end) =>
    client.file(output).get((error, bytes) => end(error ? "error: " + error.message : bytes.toString("base64"))));
  await step("octets", (end) =>
    client.algo("deeplearning/ColorfulImageColorization").pipe(Buffer.from(picture.split(",")[1], "base64")).then(result(end)));
  await step("unknown_algorithm", (end) => client.algo("util/whoopsWrongAlgo").pipe("x").then(result(end)));
  await step("not_a_picture", (end) =>
    client.algo("deeplearning/ColorfulImageColorization").pipe(Buffer.from("words")).then(result(end)));
  await step("wrong_key", (end) => algorithmia("simWRONG", address).algo("demo/Hello").pipe("x").then(result(end)));
  await step("gone", (end) =>
    client.file("data://.algo/o/n/temp/no.png").get((error) => end("error: " + error.message)));
  await step("gone_exists", (end) =>
    client.file("data://.algo/o/n/temp/no.png").exists((there, status) => end([there, status])));

  const robots = client.dir("data://.my/droids");
  await step("create", (end) => robots.create((_, status) => end(status)));
  await step("put", (end) => robots.file("R2 D2.txt").putString("beep", text(end)));
  await step("put_octets", (end) => robots.file("bytes").put(Buffer.from([0, 255, 16]), text(end)));
  await step("get_text", (end) =>
    robots.file("R2 D2.txt").get((error, bytes) => end(error ? "error: " + error.message : bytes.toString())));
  await step("list", (end) => {
    const names = [];
    robots.forEachFile((_, file) => names.push([file.basename(), file.size])).then(() => end(names));
  });
  await step("delete_full", (end) => robots.delete(false, text(end)));
  await step("delete_file", (end) => robots.file("bytes").delete(text(end)));
  await step("delete", (end) => robots.delete(true, text(end)));
  await step("deleted", (end) => robots.exists((there) => end(there)));
  console.log(JSON.stringify(said));
})();
