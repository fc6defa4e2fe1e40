import assert from "node:assert/strict";
import test from "node:test";

import { load, randomNumbers } from "./harness.mjs";

const { uniqueNames } = await load("zip.js");

test("safe names without collisions stay as they are", () => {
  const names = [
    "a.jpg", "b.jpg", "a.png", "a", "a (2).jpg", ".hidden", "archive.tar.gz", "no extension", "Möller.tif", "写真.jpg",
    "😀.png", "1950s/a.jpg", "1950s/summer/a.jpg", "1960s/a.jpg", "console.jpg", "COM.jpg", "a..jpg",
    "it's (new) & old.jpg",
  ];
  assert.deepEqual(uniqueNames(names), names);
});

test("equal names are numbered", () => {
  const cases = [
    [["a.jpg", "a.jpg", "a.jpg"], ["a.jpg", "a (2).jpg", "a (3).jpg"]],
    [["a.jpg", "A.JPG", "A.jpg"], ["a.jpg", "A (2).JPG", "A (3).jpg"]],
    // A file keeps its own name, so the earlier one gets the next number.
    [["a.jpg", "a.jpg", "a (2).jpg"], ["a.jpg", "a (3).jpg", "a (2).jpg"]],
    [["a", "a", ".hidden", ".hidden"], ["a", "a (2)", ".hidden", ".hidden (2)"]],
    [["x.y/a", "x.y/a"], ["x.y/a", "x.y/a (2)"]],
    [["x/.a", "x/.a"], ["x/.a", "x/.a (2)"]],
    [["x/a.jpg", "y/a.jpg", "X/A.jpg"], ["x/a.jpg", "y/a.jpg", "X/A (2).jpg"]],
    // "ä" as one character and as two, which macOS takes for the same name.
    [["\u00e4.jpg", "a\u0308.jpg"], ["\u00e4.jpg", "a\u0308 (2).jpg"]],
    // The same marks above and below a letter, in both orders.
    [["\u03b1\u0345\u0301", "\u03b1\u0301\u0345"], ["\u03b1\u0345\u0301", "\u03b1\u0301\u0345 (2)"]],
    [["ΟΔΟΣ.jpg", "οδος.jpg", "οδοσ.jpg"], ["ΟΔΟΣ.jpg", "οδος (2).jpg", "οδοσ (3).jpg"]],
    // Names that are equal only after cleaning.
    [["a?.jpg", "a*.jpg", "a_.jpg"], ["a_.jpg", "a_ (2).jpg", "a_ (3).jpg"]],
  ];
  for (const [names, expected] of cases) assert.deepEqual(uniqueNames(names), expected);
});

test("a file does not get the name of a folder", () => {
  assert.deepEqual(uniqueNames(["a", "a/b.jpg", "A/c.jpg"]), ["a (2)", "a/b.jpg", "A/c.jpg"]);
  assert.deepEqual(uniqueNames(["x/y/z", "x", "x/y", "x (2)"]), ["x/y/z", "x (3)", "x/y (2)", "x (2)"]);
});

test("names lead to no other folder and contain nothing that Windows refuses", () => {
  const cases = {
    "/etc/passwd": "etc/passwd",
    "//server/share/a.jpg": "server/share/a.jpg",
    "../../a.jpg": "a.jpg",
    "a/../../b.jpg": "a/b.jpg",
    "./a//b/./c.jpg": "a/b/c.jpg",
    "C:/photos/a.jpg": "photos/a.jpg",
    "c:a.jpg": "a.jpg",
    "C:\\photos\\a.jpg": "_photos_a.jpg",
    "C:../a.jpg": "a.jpg",
    "..\\..\\a.jpg": ".._.._a.jpg",
    "a/C:/b.jpg": "a/C_/b.jpg",
    'a<b>c:d"e|f?g*h.jpg': "a_b_c_d_e_f_g_h.jpg",
    "a\0b\x1f\n\r\t\x7f\x85.jpg": "a_b______.jpg",
    "half \ud83d.jpg": "half _.jpg",
    "dots...": "dots___",
    "space ": "space_",
    "folder./a.jpg": "folder_/a.jpg",
    ".. /a.jpg": "___/a.jpg",
    "...": "___",
    "CON": "_CON",
    "aux.jpg": "_aux.jpg",
    "nul .tar.gz": "_nul .tar.gz",
    "x/Com1.txt/lpt9": "x/_Com1.txt/_lpt9",
    "": "unnamed",
    "/": "unnamed",
    "..": "unnamed",
    "C:": "unnamed",
    "a/": "a",
  };
  for (const [name, expected] of Object.entries(cases)) assert.deepEqual(uniqueNames([name]), [expected]);
});

test("10,000 equal names do not take long", () => {
  const unique = uniqueNames(Array(10_000).fill("a.jpg"));
  assert.equal(unique.at(-1), "a (10000).jpg");
});

test("random names become safe and unique, and then they stay", () => {
  const pieces = [
    "a", "A", "b", ".", "..", " ", "/", "//", "\\", ":", "C:", " (2)", " (3)", ".jpg", ".JPG", "con", "NUL", "ä", "a\u0308",
    "ß", "SS", "σ", "ς", "Σ", "İ", "ı", "K", "\u212a", "😀", "\ud83d", "\ude00", "\0", "\n", "\u2028", "?", "_", "ǰ", "ﬁ",
    "\u0345", "ᾴ",
  ];
  for (let seed = 0; seed < 3000; seed++) {
    const next = randomNumbers(seed);
    const piece = () => pieces[next(next(2) ? 20 : pieces.length)];
    const names = Array.from({ length: next(20) }, () => Array.from({ length: next(6) }, piece).join(""));
    const unique = uniqueNames(names);
    const at = `seed ${seed}: ${JSON.stringify(names)} became ${JSON.stringify(unique)}`;

    assert.equal(unique.length, names.length, at);
    const lower = unique.map((name) => name.normalize("NFC").toLowerCase());
    assert.equal(new Set(lower).size, names.length, at);
    const upper = unique.map((name) => name.normalize("NFD").toUpperCase());
    assert.equal(new Set(upper).size, names.length, at);
    for (const name of unique) {
      assert.equal(new TextDecoder().decode(new TextEncoder().encode(name)), name, at);
      assert.doesNotMatch(name, /[\u0000-\u001f\u007f-\u009f<>:"\\|?*]/, at);
      for (const part of name.split("/")) assert.match(part, /[^. ]$/, at);
      assert.ok(!lower.some((other) => other.startsWith(`${name.normalize("NFC").toLowerCase()}/`)), at);
    }
    assert.deepEqual(uniqueNames(unique), unique, at);
  }
});
