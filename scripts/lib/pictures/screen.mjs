// The accounts screen: a real run of the command in a terminal of fixed size, drawn as it stands there.

import { startCommand } from '../../../__test__/support/cli.mjs'
import { createSandbox } from '../../../__test__/support/sandbox.mjs'
import { escaped, picture } from './svg.mjs'

const COLUMNS = 88
const ROWS = 22

/** Runs the command over a vault with accounts of three providers, and returns its screen with the colours as escape sequences. */
export async function runScreen() {
  const sandbox = createSandbox({ name: 'pictures' })
  let terminal
  try {
    await sandbox.output(`
      const add = (provider, ...labels) => Promise.all(labels.map((label, priority) =>
        auth.addApiKey({ provider, apiKey: 'sk-of-a-picture-' + provider + '-' + label, label, priority })))
      const use = async (provider, url, account, status, headers) => {
        const { attempt } = await auth.getAuthHeaders({ provider, url, account })
        await auth.reportResponse({ attempt, status, headers, body: status === 200 ? undefined : '{}' })
      }
      await add('anthropic', 'team', 'own')
      await add('openai', 'first', 'spare', 'trial')
      await add('google', 'studio')
      const messages = 'https://api.anthropic.com/v1/messages'
      const chat = 'https://api.openai.com/v1/chat/completions'
      const hours = (count) => String(Math.floor(Date.now() / 1000) + count * 3600 + 120)
      const quota = (five, seven) => ({
        'anthropic-ratelimit-unified-5h-utilization': String(five), 'anthropic-ratelimit-unified-5h-reset': hours(3),
        'anthropic-ratelimit-unified-7d-utilization': String(seven), 'anthropic-ratelimit-unified-7d-reset': hours(76),
      })
      await use('anthropic', messages, 'team', 200, quota(0.62, 0.18))
      await use('anthropic', messages, 'own', 200, quota(0.11, 0.04))
      await use('openai', chat, 'first', 429, { 'retry-after': '2700' })
      await use('openai', chat, 'spare', 200, {})
      const [{ id }] = (await auth.listAccounts({ provider: 'openai' })).filter(({ label }) => label === 'trial')
      await auth.updateAccount(id, { enabled: false })
    `)
    terminal = await startCommand(sandbox, [], { width: COLUMNS, height: ROWS, env: { FORCE_COLOR: '1' } })
    await terminal.shows(/studio[\s\S]*q quit/)
    return await terminal.coloured()
  } finally {
    await terminal?.close()
    sandbox.cleanup()
  }
}

/** A sequence that sets colours, or what stands between two. */
const ESC = '\u001b'
const PIECES = new RegExp(`${ESC}\\[([\\d;]*)m|([^${ESC}]+)`, 'g')

const CELL = { width: 8.4, height: 19 }
const MARGIN = 18
const BAR = 30

const STYLE = `
  text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #e6edf3; white-space: pre; }
  .ground { fill: #0d1117; stroke: #656c76; } .bold { font-weight: 700; } .dim { fill: #9198a1; }
  .c1 { fill: #ff7b72; } .c2 { fill: #3fb950; } .c3 { fill: #e3b341; } .c4 { fill: #58a6ff; } .c5 { fill: #d2a8ff; } .c6 { fill: #56d4dd; }
  .c0, .c7 { fill: #b1bac4; } .chosen { fill: #1f3654; }`

/** Draws a screen that `runScreen` returned. */
export function drawScreen(screen) {
  const rows = screen.replace(/\n+$/, '').split('\n')
  const width = Math.round(2 * MARGIN + COLUMNS * CELL.width)
  const height = BAR + rows.length * CELL.height + MARGIN
  const lines = [0, 1, 2].map((index) => `<circle cx="${MARGIN + 6 + index * 18}" cy="18" r="5" fill="#3d444d"/>`)
  let look = new Set()
  for (const [row, line] of rows.entries()) {
    let column = 0
    const y = BAR + (row + 1) * CELL.height
    for (const [, codes, content] of line.matchAll(PIECES)) {
      if (content === undefined) {
        look = styled(look, codes)
        continue
      }
      const x = MARGIN + column * CELL.width
      const length = content.length * CELL.width
      column += content.length
      if (look.has('chosen'))
        lines.push(
          `<rect class="chosen" x="${x.toFixed(1)}" y="${y - 14}" width="${length.toFixed(1)}" height="${CELL.height}"/>`,
        )
      if (content.trim() === '') continue
      // A font may be wider or narrower than the cells: each word stands in its own.
      for (const { 0: word, index } of content.matchAll(/\S+(?: \S+)*/g)) {
        const names = [...look].filter((name) => name !== 'chosen').join(' ')
        const from = (x + index * CELL.width).toFixed(1)
        const span = (word.length * CELL.width).toFixed(1)
        lines.push(
          `<text x="${from}" y="${y}" textLength="${span}" lengthAdjust="spacingAndGlyphs"${names && ` class="${names}"`}>${escaped(word)}</text>`,
        )
      }
    }
  }
  const title =
    'The accounts screen: providers with their accounts in serving order, their state, limits and countdowns'
  return picture({ width, height, title, lines, style: STYLE })
}

/** The classes of a text after a sequence that sets colours. */
function styled(look, codes) {
  let next = new Set(look)
  for (const code of codes === '' ? [0] : codes.split(';').map(Number)) {
    const colour = (code >= 30 && code <= 37) || (code >= 90 && code <= 97) ? code % 10 : undefined
    if (code === 0) next = new Set()
    else if (code === 1) next.add('bold')
    else if (code === 2 || code === 90) next.add('dim')
    else if (code === 7) next.add('chosen')
    else if (code === 22) for (const name of ['bold', 'dim']) next.delete(name)
    else if (code === 27) next.delete('chosen')
    else if (code === 39 || colour !== undefined) {
      for (const name of next) if (/^c\d$/.test(name)) next.delete(name)
      if (colour !== undefined) next.add(`c${colour}`)
    }
  }
  return next
}
