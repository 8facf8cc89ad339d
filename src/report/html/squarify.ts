/** A rectangle in percent of the area that it lies in. */
export interface Rectangle {
  left: number;
  top: number;
  width: number;
  height: number;
}

/**
 * Squarified treemap (Bruls, Huizing, van Wijk 2000): one rectangle a value, with areas in proportion to the values, filling
 * the area without gaps, as close to squares as rows along the shorter side allow.
 *
 * @param values positive, largest first
 * @param area in any unit; only its proportions matter
 */
export function squarify(values: readonly number[], area: { width: number; height: number }): Rectangle[] {
  const total = values.reduce((sum, value) => sum + value, 0);
  const placed: Rectangle[] = [];
  let free = { left: 0, top: 0, width: area.width, height: area.height };
  let start = 0;
  while (start < values.length) {
    const scale = (area.width * area.height) / total;
    const side = Math.min(free.width, free.height);
    const end = endOfRow(values, start, { side, scale });
    const row = values.slice(start, end).map((value) => value * scale);
    const laid = layRow(row, free);
    placed.push(...laid.rectangles);
    free = laid.free;
    start = end;
  }
  return placed.map(({ left, top, width, height }) => ({
    left: (left / area.width) * 100,
    top: (top / area.height) * 100,
    width: (width / area.width) * 100,
    height: (height / area.height) * 100,
  }));
}

/** A row takes values as long as its worst proportion gets no worse. */
function endOfRow(values: readonly number[], start: number, { side, scale }: { side: number; scale: number }): number {
  const largest = (values[start] ?? 0) * scale;
  let sum = 0;
  let worst = Number.POSITIVE_INFINITY;
  for (let end = start; end < values.length; end++) {
    const smallest = (values[end] ?? 0) * scale;
    sum += smallest;
    const thickness = sum / side;
    const proportion = Math.max(largest / thickness ** 2, thickness ** 2 / smallest);
    if (proportion > worst) return end;
    worst = proportion;
  }
  return values.length;
}

function layRow(areas: readonly number[], free: Rectangle): { rectangles: Rectangle[]; free: Rectangle } {
  const { left, top, width, height } = free;
  const sum = areas.reduce((total, area) => total + area, 0);
  const rectangles: Rectangle[] = [];
  let offset = 0;
  if (width >= height) {
    const thickness = Math.min(width, sum / height);
    for (const area of areas) {
      const length = (height * area) / sum;
      rectangles.push({ left, top: top + offset, width: thickness, height: length });
      offset += length;
    }
    return { rectangles, free: { left: left + thickness, top, width: width - thickness, height } };
  }
  const thickness = Math.min(height, sum / width);
  for (const area of areas) {
    const length = (width * area) / sum;
    rectangles.push({ left: left + offset, top, width: length, height: thickness });
    offset += length;
  }
  return { rectangles, free: { left, top: top + thickness, width, height: height - thickness } };
}
