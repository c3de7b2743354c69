/** What a page hands over, as plain data: whatever it is, it becomes JSON or nothing. */

/** Half of what a tab keeps: one call must not push out all others. */
const LONGEST = 500_000;

/**
 * A copy with dates and big integers as text and without what JSON has no word for. What is inside
 * itself is left out there. Undefined when it is too long, or when reading it fails.
 */
export function snapshot(value: unknown): unknown {
  const above: unknown[] = [];
  try {
    const json = JSON.stringify(value, function (this: unknown, _name, inner) {
      if (typeof inner === 'bigint') return String(inner);
      if (!inner || typeof inner !== 'object') return inner;
      // `this` holds `inner`: what stands behind it in the list is not above it.
      above.length = above.indexOf(this) + 1;
      if (above.includes(inner)) return undefined;
      above.push(inner);
      return inner;
    });
    if (json === undefined) return undefined;
    if (json.length > LONGEST) throw `${json.length} characters, at most ${LONGEST}`;
    return JSON.parse(json);
  } catch (error) {
    console.warn('left out:', error);
    return undefined;
  }
}
