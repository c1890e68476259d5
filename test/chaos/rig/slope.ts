export interface Point {
  readonly x: number;
  readonly y: number;
}

/** How steeply the points rise: the median over all pairs (Theil and Sen), which a few outliers cannot turn. */
export function slopeOf(points: readonly Point[]): number {
  const slopes = points.flatMap((a, index) => points.slice(index + 1).flatMap((b) => (b.x === a.x ? [] : [(b.y - a.y) / (b.x - a.x)])));
  slopes.sort((a, b) => a - b);
  const [low, high] = [slopes[Math.floor((slopes.length - 1) / 2)], slopes[Math.floor(slopes.length / 2)]];
  if (low === undefined || high === undefined) throw new RangeError('a slope needs two points');
  return (low + high) / 2;
}
