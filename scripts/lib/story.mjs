// Tells a story line by line, with the time of each line, and remembers whether it went as promised.

const onTerminal = process.stdout.isTTY === true
const startedAt = performance.now()
const style = (code) => (text) => (onTerminal ? `\x1b[${code}m${text}\x1b[0m` : text)
const [bold, dim, red, green] = [1, 2, 31, 32].map(style)
const kept = []
const broken = []

/** Opens a chapter. */
export function chapter(title) {
  console.log(`\n${bold(title)}`)
}

/** Tells that something happened: when, what kind of thing, and in words. */
export function tell(kind, text, paint = (plain) => plain) {
  const time = `${seconds().toFixed(2).padStart(7)} s`
  console.log(`${dim(time)}  ${paint(kind.padEnd(13))} ${text}`)
}

/** Compares what happened with what was promised, and goes on either way. */
export function promise(text, holds) {
  const list = holds ? kept : broken
  list.push(text)
  if (holds) tell('as promised', text, green)
  else tell('BROKEN', text, red)
}

/** Says whether every promise held so far, and how many there were. */
export function verdict() {
  return { ok: broken.length === 0, kept: kept.length, broken, seconds: seconds() }
}

function seconds() {
  return (performance.now() - startedAt) / 1000
}
