/** Where an axis from 0 has its lines: at most five steps of 1, 2 or 5 times a power of ten. */
export function niceTicks(most: number, wholeOnly = false): number[] {
  if (most <= 0) return [0];
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((n) => n * power >= rough * 0.999_999) ?? 10);
  const size = wholeOnly ? Math.max(1, Math.round(step)) : step;
  return Array.from({ length: Math.ceil(most / size - 0.000_001) + 1 }, (_, n) => n * size);
}
