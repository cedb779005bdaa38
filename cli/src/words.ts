/** Spans and points in time, as a person says them. */
const UNITS: [ms: number, name: string][] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
]

/** `2 h 5 min`: the two largest units, rounded up to a whole second. */
export function span(ms: number): string {
  let rest = Math.max(0, Math.ceil(ms / 1000) * 1000)
  const parts: string[] = []
  for (const [unit, name] of UNITS) {
    const count = Math.floor(rest / unit)
    rest -= count * unit
    if (count > 0) parts.push(`${count} ${name}`)
    else if (parts.length > 0) break
    if (parts.length === 2) break
  }
  return parts.length === 0 ? '0 s' : parts.join(' ')
}

/** `in 2 h 5 min`, `3 d ago`. */
export function ago(at: number, now: number): string {
  return at > now ? `in ${span(at - now)}` : `${span(now - at)} ago`
}
