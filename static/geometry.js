// The geometry of the large view: which part of a picture a frame shows. Pure functions of plain objects.
//
// A place is { zoom, x, y }. `zoom` is 1 if the whole picture just fits into the frame. `x` and `y` are the point of
// the picture at the centre of the frame, as fractions of the picture's width and height from the picture's own centre
// (-0.5 to 0.5), so that a place keeps its meaning when the frame changes its size. Points and lengths on the screen
// are in CSS pixels; points are relative to the centre of the frame.

export const FIT = { zoom: 1, x: 0, y: 0 };
const MOST = 8;

const within = (value, least, most) => Math.min(Math.max(value, least), most);

/**
 * A frame with a picture in it: `box` is the frame's size, `size` the picture's size in its own pixels, `ratio` the
 * device pixels of a CSS pixel. Null if either is empty.
 * `one` is the zoom at which a pixel of the picture covers a device pixel; `least` and `most` limit the zoom.
 */
export function frameOf(box, size, ratio) {
  if (!size || !(box.width > 0 && box.height > 0 && size.width > 0 && size.height > 0)) return null;
  const scale = Math.min(box.width / size.width, box.height / size.height);
  const one = 1 / (scale * ratio);
  const fit = { width: size.width * scale, height: size.height * scale };
  // Small pictures are enlarged to fit, so that their actual size is below 1.
  return { box, fit, ratio, one, least: Math.min(1, one), most: Math.max(1, MOST * one) };
}

/** The nearest place within the limits: the picture covers the frame, or is centred where it is smaller. */
export function clamp({ zoom, x, y }, { box, fit, least, most }) {
  const limited = within(zoom, least, most);
  const reach = (side) => Math.max(0, 0.5 - box[side] / (2 * limited * fit[side]));
  const [across, down] = [reach("width"), reach("height")];
  return { zoom: limited, x: within(x, -across, across), y: within(y, -down, down) };
}

/** The point of the picture at a point of the screen, both as fractions of the picture. */
const under = ({ zoom, x, y }, point, { fit }) => ({
  x: x + point.x / (zoom * fit.width),
  y: y + point.y / (zoom * fit.height),
});

/** The place with this zoom at which a point of the picture lies at a point of the screen. */
function holding(grip, point, zoom, frame) {
  const limited = within(zoom, frame.least, frame.most);
  const x = grip.x - point.x / (limited * frame.fit.width);
  const y = grip.y - point.y / (limited * frame.fit.height);
  return clamp({ zoom: limited, x, y }, frame);
}

/** Zooms to `zoom`; the picture does not move at `point`. */
export const zoomAt = (place, zoom, point, frame) => holding(under(place, point, frame), point, zoom, frame);

/** Moves the picture by a distance on the screen. */
export const pan = (place, by, frame) => holding(under(place, { x: 0, y: 0 }, frame), by, place.zoom, frame);

/** Two fingers move from the points `from` to the points `to`: the picture follows them. */
export function pinch(place, from, to, frame) {
  const middle = ([a, b]) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
  // Fingers at one point would otherwise zoom without a limit.
  const apart = ([a, b]) => Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
  return holding(under(place, middle(from), frame), middle(to), (place.zoom * apart(to)) / apart(from), frame);
}

/** The zoom after a step by `factor`. A step past the fitting or the actual size stops there. */
export function step(zoom, factor, { one, least, most }) {
  const next = zoom * factor;
  const passed = [1, one].filter((stop) => Math.abs(stop / zoom - 1) > 0.01 && (stop - zoom) * (stop - next) < 0);
  passed.sort((a, b) => Math.abs(a - zoom) - Math.abs(b - zoom));
  return within(passed[0] ?? next, least, most);
}

/** The zoom of a double click: closer, to the actual size if that is closer, or back to the whole picture. */
export function toggled(zoom, { one, most }) {
  if (zoom > 1.01) return 1;
  return one > 1.1 ? one : Math.min(2, most);
}

/** How far the picture is moved on the screen from the centre of its frame, so that its edges fall on device pixels. */
export function offset({ zoom, x, y }, { box, fit, ratio }) {
  if (zoom === 1) return { x: 0, y: 0 };
  const along = (at, side) => {
    const length = zoom * fit[side];
    const start = (box[side] - length) / 2;
    return Math.round((start - at * length) * ratio) / ratio - start;
  };
  return { x: along(x, "width"), y: along(y, "height") };
}
