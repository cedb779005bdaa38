/** Screens of a terminal as they are kept in `fixtures/`. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'

/**
 * Compares the part of a screen between two texts with what is kept as `name`, without margins and with addresses as
 * `ADDRESS`. `WRITE_SCREENS=1` keeps it anew.
 */
export function assertScreen(name, screen, from, to) {
  const lines = screen.split('\n')
  const first = lines.findIndex((line) => line.includes(from))
  const last = lines.findIndex((line, index) => index >= first && line.includes(to))
  assert.ok(first >= 0 && last >= first, `no "${from}" … "${to}" on the screen:\n${screen}`)
  const part = lines.slice(first, last + 1).map((line) => line.trimEnd())
  const margin = Math.min(...part.filter((line) => line !== '').map((line) => /^ */.exec(line)[0].length))
  const text = `${part.map((line) => line.slice(margin)).join('\n')}\n`
    .replace(/http:\S+/g, 'ADDRESS')
    .replace(/ {2,}/g, '  ')
  const file = new URL(`../fixtures/${name}.txt`, import.meta.url)
  if (process.env.WRITE_SCREENS === '1') {
    mkdirSync(new URL('.', file), { recursive: true })
    writeFileSync(file, text)
  }
  assert.ok(existsSync(file), `${file.pathname} is missing; WRITE_SCREENS=1 writes it`)
  assert.equal(text, readFileSync(file, 'utf8'))
}
