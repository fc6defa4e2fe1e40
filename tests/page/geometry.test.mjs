// The geometry of the large view.

import assert from "node:assert/strict";
import { test } from "node:test";

import { clamp, FIT, frameOf, offset, pan, pinch, step, toggled, zoomAt } from "../../static/geometry.js";

// A picture of 2000 by 1000 pixels in a square frame: it fits at 400 by 200, and 100 % is a zoom of 5.
const wide = frameOf({ width: 400, height: 400 }, { width: 2000, height: 1000 }, 1);

/** Where a point of the picture is on the screen, relative to the centre of the frame. */
const shown = (place, point, { fit }) => [
  (point.x - place.x) * place.zoom * fit.width,
  (point.y - place.y) * place.zoom * fit.height,
];

function close(left, right, because) {
  const [a, b] = [left, right].map((value) => Object.values(value));
  assert.equal(a.length, b.length);
  a.forEach((value, i) => assert.ok(Math.abs(value - b[i]) < 1e-9, `${because ?? ""} ${a} is not ${b}`));
}

test("a picture fits into its frame, whatever their shapes", () => {
  close(wide.fit, { width: 400, height: 200 });
  assert.equal(wide.one, 5);
  const tall = frameOf({ width: 300, height: 100 }, { width: 50, height: 100 }, 1);
  close(tall.fit, { width: 50, height: 100 });
});

test("without a size or a frame there is nothing to show", () => {
  assert.equal(frameOf({ width: 100, height: 100 }, null, 1), null);
  assert.equal(frameOf({ width: 0, height: 0 }, { width: 5, height: 5 }, 1), null);
  assert.equal(frameOf({ width: 9, height: 9 }, { width: 0, height: 5 }, 1), null);
});

test("100 % is one pixel of the picture per device pixel", () => {
  const dense = frameOf({ width: 400, height: 400 }, { width: 2000, height: 1000 }, 2);
  assert.equal(dense.one, 2.5);
  assert.equal(dense.one * dense.fit.width * 2, 2000);
});

test("the zoom ranges from the whole picture to 800 %", () => {
  assert.equal(clamp({ zoom: 0.2, x: 0, y: 0 }, wide).zoom, 1);
  assert.equal(clamp({ zoom: 999, x: 0, y: 0 }, wide).zoom, 40);
});

test("a picture smaller than its frame can be shown at its actual size", () => {
  const small = frameOf({ width: 400, height: 400 }, { width: 100, height: 100 }, 1);
  assert.equal(clamp({ zoom: 0.1, x: 0, y: 0 }, small).zoom, 0.25);
  const tiny = frameOf({ width: 400, height: 400 }, { width: 10, height: 10 }, 1);
  assert.equal(clamp({ zoom: 3, x: 0, y: 0 }, tiny).zoom, 1, "the fitting size is above 800 % already");
});

test("no empty border is dragged into the frame, and a smaller side is centred", () => {
  close(clamp({ zoom: 1, x: 0.3, y: -0.3 }, wide), FIT);
  // At a zoom of 1.5 the picture is 600 by 300: wider than the frame, not as high.
  close(clamp({ zoom: 1.5, x: 0.9, y: 0.2 }, wide), { zoom: 1.5, x: 1 / 6, y: 0 });
  close(clamp({ zoom: 4, x: -9, y: 9 }, wide), { zoom: 4, x: -0.375, y: 0.25 });
});

test("zooming keeps the point under the pointer", () => {
  const place = { zoom: 4, x: 0.05, y: -0.02 };
  const point = { x: 30, y: -20 };
  const grip = { x: 0.05 + 30 / 1600, y: -0.02 - 20 / 800 };
  for (const zoom of [3, 6, 40]) close(shown(zoomAt(place, zoom, point, wide), grip, wide), [30, -20], zoom);
});

test("zooming out to the whole picture centres it", () => {
  close(zoomAt({ zoom: 4, x: -0.3, y: 0.2 }, 0.001, { x: 150, y: 3 }, wide), FIT);
});

test("zooming stops at the limit without moving the picture", () => {
  const place = { zoom: 40, x: 0.1, y: 0.1 };
  close(zoomAt(place, 80, { x: 50, y: 50 }, wide), place);
});

test("panning moves the picture with the pointer", () => {
  const place = pan({ zoom: 4, x: 0, y: 0 }, { x: 160, y: -80 }, wide);
  close(place, { zoom: 4, x: -0.1, y: 0.1 });
  close(shown(place, { x: 0, y: 0 }, wide), [160, -80]);
});

test("a pinch zooms about the fingers and follows them", () => {
  const from = [{ x: -10, y: 0 }, { x: 10, y: 0 }];
  const to = [{ x: 0, y: 15 }, { x: 80, y: 15 }];
  const place = pinch({ zoom: 3, x: 0, y: 0 }, from, to, wide);
  assert.equal(place.zoom, 12);
  close(shown(place, { x: 0, y: 0 }, wide), [40, 15]);
  const together = pinch(FIT, [{ x: 5, y: 5 }, { x: 5, y: 5 }], to, wide);
  assert.ok(Number.isFinite(together.zoom + together.x + together.y));
});

test("steps stop at the whole picture and at 100 %", () => {
  assert.equal(step(4, 1.5, wide), 5);
  assert.equal(step(5, 1.5, wide), 7.5);
  assert.equal(step(6, 1 / 1.5, wide), 5);
  assert.equal(step(1.2, 1 / 1.5, wide), 1);
  assert.equal(step(1, 1 / 1.5, wide), 1);
  assert.equal(step(38, 1.5, wide), 40);
  const small = frameOf({ width: 400, height: 400 }, { width: 320, height: 320 }, 1);
  assert.equal(step(1.2, 0.5, small), 1, "the nearer of the two stops");
});

test("a double click shows 100 %, and then the whole picture again", () => {
  assert.equal(toggled(1, wide), 5);
  assert.equal(toggled(5, wide), 1);
  const small = frameOf({ width: 400, height: 400 }, { width: 320, height: 320 }, 1);
  assert.equal(toggled(1, small), 2, "a picture that is enlarged already is enlarged more");
});

test("the edges of the picture fall on device pixels", () => {
  const frame = frameOf({ width: 333, height: 222 }, { width: 999, height: 666 }, 2);
  const { x } = offset({ zoom: 1.37, x: 0.0123, y: 0 }, frame);
  const edge = ((333 - 333 * 1.37) / 2 + x) * 2;
  assert.ok(Math.abs(edge - Math.round(edge)) < 1e-9, `${edge}`);
  assert.ok(Math.abs(x + 0.0123 * 333 * 1.37) <= 0.25);
});
