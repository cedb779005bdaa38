/** `provider-auth report`: what it tells, what it writes, and how its page looks in a real browser. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { findChromium, startChromium } from './support/chromium.mjs'
import { answer, assertFits, command, failure } from './support/cli.mjs'
import { createSandbox } from './support/sandbox.mjs'

const HOUR = 3600
const DAY = 24 * HOUR
const MARKUP = `<script>window.evil = 1</script>"onload='x' &amp;`

const providers = { desk: { origins: ['http://127.0.0.1:9'] } }
const sandbox = createSandbox({ name: 'report', config: { providers } })
after(() => sandbox.cleanup())
const stats = join(sandbox.vaultDir, 'stats.json')
const out = (name) => join(sandbox.work, name)

/** As the file of counts has it: some days, some hours, four accounts. */
function counted(ids) {
  const now = Math.floor(Date.now() / 1000)
  const today = now - (now % DAY)
  const rows = (many) =>
    ids.flatMap((account, index) => {
      const attempts = many * (index + 1)
      const row = { provider: 'desk', namespace: 'default', account }
      return [
        {
          ...row,
          model: index === 0 ? MARKUP : 'small-1',
          requests: attempts - 1,
          attempts,
          served: attempts - 2,
          failed: { rate_limited: 2 },
          switched: { rate_limited: 1, [index === 1 ? 'resting' : 'quota_exhausted']: 1 },
          refused: index,
          waited_ms: 1500,
          rested_ms: 3_600_000,
        },
        { ...row, refreshed: 2, refresh_failed: 1 },
      ]
    })
  const days = {}
  for (let day = 2; day < 20; day++) days[today - day * DAY] = rows(10 + day)
  const hours = {}
  for (let hour = now - (now % HOUR); hour > today - DAY; hour -= 3 * HOUR) hours[hour] = rows(5)
  const samples = {}
  for (let hour = now - (now % HOUR) - 5 * DAY; hour <= now; hour += HOUR)
    samples[hour] = [(hour / HOUR) % 5 === 0 ? 100 : 20 * ((hour / HOUR) % 5), hour - (hour % (5 * HOUR)) + 5 * HOUR]
  return { hours, days, quota: { [ids[0]]: { '5h': samples } } }
}

before(async () => {
  const labels = ['work', 'ada@example.com', MARKUP, 'line\nbreak\u001b[31m']
  const ids = JSON.parse(
    await sandbox.output(`
const ids = []
for (const label of ${JSON.stringify(labels)}) {
  const { id } = await auth.addApiKey({ provider: 'desk', apiKey: 'sk-S3CRET-' + ids.length, label: 'key ' + ids.length })
  ids.push((await auth.updateAccount(id, { label }).catch(() => ({ id }))).id)
}
console.log(JSON.stringify(ids))`),
  )
  writeFileSync(stats, JSON.stringify(counted(ids)))
})

test('before anything was counted it says so, in lines, as JSON and as a page', async () => {
  const empty = createSandbox({ name: 'report-empty', config: { providers } })
  try {
    const { code, stdout } = await command(empty, ['report'])
    assert.equal(code, 0)
    assert.match(stdout, /nothing was counted/)
    assert.deepEqual((await answer(empty, 'report', ['report'])).accounts, [])
    const page = await command(empty, ['report', '--html', '-'])
    assert.match(page.stdout, /Nothing was counted in this time/)
    empty.writeConfig({ stats: false, providers })
    const off = await command(empty, ['report', '--json'])
    assert.equal(JSON.parse(off.stdout).enabled, false)
    assert.match(off.stderr, /"stats": false/)
    assert.deepEqual(readdirSync(empty.dir).includes('vault'), false, 'no vault was made')
  } finally {
    empty.cleanup()
  }
})

test('its JSON adds up: the steps, the accounts and their models come to the totals', async () => {
  for (const since of ['24h', '7d', '30d', '2020-01-01', '1d', '48h']) {
    const { totals, steps, accounts, step, from, to } = await answer(sandbox, 'report', ['report', '--since', since])
    assert.ok(totals.requests > 0, since)
    for (const name of [
      'requests',
      'attempts',
      'served',
      'refused',
      'refreshes',
      'refreshFailures',
      'waitedMs',
      'restedMs',
    ])
      for (const parts of [steps, accounts, accounts.flatMap(({ models }) => models)])
        assert.equal(
          parts.reduce((sum, part) => sum + part[name], 0),
          totals[name],
          `${since}: ${name}`,
        )
    const bySteps = accounts.flatMap(({ attemptsBySteps }) => attemptsBySteps)
    assert.equal(
      bySteps.reduce((sum, one) => sum + one, 0),
      totals.attempts,
      since,
    )
    assert.ok(accounts.every(({ attemptsBySteps }) => attemptsBySteps.length === steps.length))
    assert.equal(step, /^(24h|1d)$/.test(since) ? 'hour' : 'day', since)
    assert.ok(from <= to && steps.length <= 70, `${since}: ${steps.length}`)
  }
})

test('no time, one to come, and other junk are refused as a usage error', async () => {
  const tomorrow = new Date(Date.now() + 2 * 86_400_000).toISOString().slice(0, 10)
  for (const since of [
    '2026-02-31',
    '',
    'x',
    '7',
    '0d',
    '-1d',
    '7w',
    '2026-13-45',
    tomorrow,
    '99999999d0',
    '1e3d',
    'NaN',
    '7d\n8d',
  ]) {
    const { exit, code } = await failure(sandbox, ['report', `--since=${since}`])
    assert.deepEqual([exit, code], [2, 'USAGE'], since)
  }
  for (const args of [
    ['--html', 'a', '--svg', 'b'],
    ['--names', 'mail'],
    ['--html', '-'],
  ])
    assert.equal((await failure(sandbox, ['report', ...args])).exit, 2, args.join(' '))
})

test('a label that is an e-mail address stays out unless it is asked for', async () => {
  for (const args of [[], ['--names', 'id'], ['--html', '-'], ['--svg', '-']]) {
    const { stdout, stderr } = await command(sandbox, ['report', ...args])
    assert.ok(!/ada@|example\.com|S3CRET/.test(stdout + stderr), args.join(' '))
  }
  const { stdout } = await command(sandbox, ['report', '--names', 'label'])
  assert.match(stdout, /ada@ex/)
  const ids = await answer(sandbox, 'report', ['report', '--names', 'id'])
  assert.ok(ids.accounts.every(({ id, name }) => id === name))
})

test('a report may be written anew, and nothing else is overwritten', async () => {
  for (const kind of ['html', 'svg']) {
    const file = out(`again.${kind}`)
    for (let round = 0; round < 2; round++) {
      const told = await answer(sandbox, 'report', ['report', `--${kind}`, file])
      assert.equal(told.file, file)
    }
    if (process.platform !== 'win32') assert.equal(statSync(file).mode & 0o777, 0o600)
  }
  writeFileSync(out('mine.html'), 'mine')
  mkdirSync(out('folder'), { recursive: true })
  const names = ['mine.html', 'folder', 'nowhere/report.html']
  if (process.platform !== 'win32') {
    symlinkSync(out('again.html'), out('link.html'))
    names.push('link.html')
  }
  for (const name of names) {
    const { code, exit } = await failure(sandbox, ['report', '--html', out(name)])
    assert.deepEqual([code, exit], ['FAILED', 1], name)
  }
  assert.equal(readFileSync(out('mine.html'), 'utf8'), 'mine')
  assert.equal((await command(sandbox, ['report', '--html', out('mine.html'), '--force'])).code, 0)
  assert.match(readFileSync(out('mine.html'), 'utf8'), /^<!doctype html>/)
  assert.deepEqual(
    readdirSync(sandbox.work).filter((name) => name.endsWith('.tmp')),
    [],
  )
})

const program = findChromium()
const skip = program === undefined && 'no Chromium found: apt-get install chromium'

test('its page fits a window and a phone, loads nothing, and shows the numbers of the JSON', { skip }, async () => {
  const file = out('page.html')
  const report = await answer(sandbox, 'report', ['report', '--html', file, '--since', '7d'])
  const chromium = await startChromium(program)
  try {
    const page = await chromium.open(`file://${file}`)
    for (const width of [1280, 390, 320]) {
      await page.size(width, 900)
      for (const open of [false, true]) {
        const seen = await page.ask((isOpen) => {
          for (const one of document.querySelectorAll('details')) one.open = isOpen
          const shown = [...document.querySelectorAll('figure svg')].filter((one) => one.getClientRects().length > 0)
          return {
            width: innerWidth,
            scroll: document.documentElement.scrollWidth,
            loaded: performance.getEntriesByType('resource').map(({ name }) => name),
            charts: shown.length,
            smallest: Math.min(
              ...shown.map((one) => (12 * one.getBoundingClientRect().width) / one.viewBox.baseVal.width),
            ),
          }
        }, open)
        assert.equal(seen.width, width)
        assert.ok(seen.scroll <= seen.width, `${width}: ${seen.scroll} wide`)
        assert.deepEqual(seen.loaded, [])
        assert.ok(seen.charts >= 6, `${seen.charts}`)
        assert.ok(seen.smallest >= 9, `text of ${seen.smallest} px at ${width}`)
      }
    }
    const read = await page.ask(() => {
      const tables = [...document.querySelectorAll('table')]
      return {
        title: document.title,
        lang: document.documentElement.lang,
        evil: window.evil,
        scripts: document.scripts.length,
        handlers: [...document.querySelectorAll('*')].flatMap((one) =>
          [...one.attributes].filter(({ name }) => /^on/.test(name)),
        ).length,
        names: [...document.querySelectorAll('tr.account th, tr.model th')].map((one) => one.textContent),
        tiles: [...document.querySelectorAll('dd.sum')].map((one) => one.textContent),
        requests: tables.find((one) => one.caption?.textContent.startsWith('Requests')).tBodies[0].rows.length,
        served: [...tables.find((one) => one.caption?.textContent.startsWith('Requests')).tBodies[0].rows].map((one) =>
          Number(one.cells[1].textContent.replaceAll(',', '')),
        ),
        unnamed: [...document.querySelectorAll('svg[role=img]')].filter((one) => !one.getAttribute('aria-label'))
          .length,
        untabled: [...document.querySelectorAll('figure')].filter(
          (one) => one.parentElement.querySelector('details table') === null,
        ).length,
      }
    })
    assert.match(read.title, /provider-auth report, /)
    assert.equal(read.lang, 'en')
    assert.deepEqual([read.evil, read.scripts, read.handlers, read.unnamed, read.untabled], [undefined, 0, 0, 0, 0])
    assert.ok(read.names.includes(MARKUP), read.names.join('|'))
    assert.equal(read.tiles[0], report.totals.requests.toLocaleString('en-US'))
    assert.equal(read.requests, report.steps.length)
    assert.deepEqual(
      read.served,
      report.steps.map(({ served }) => served),
    )
    const text = readFileSync(file, 'utf8')
    assert.match(text, /default-src 'none'; style-src 'unsafe-inline'/)
    assert.ok(!/(?:src|href|url\()=?["']?(?:https?:|\/\/)/.test(text.replaceAll('http://www.w3.org/2000/svg', '')))
    await page.close()

    const picture = out('picture.svg')
    assert.equal((await command(sandbox, ['report', '--svg', picture])).code, 0)
    const image = await chromium.open(`file://${picture}`)
    const drawn = await image.ask(() => ({
      root: document.documentElement.localName,
      bars: document.querySelectorAll('rect').length,
      faults: document.querySelectorAll('parsererror').length,
    }))
    assert.deepEqual([drawn.root, drawn.faults], ['svg', 0])
    assert.ok(drawn.bars > 7)
    await image.close()
  } finally {
    await chromium.close()
  }
})

const page = readFileSync(new URL('../docs/report.md', import.meta.url), 'utf8')
const blocks = [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, kind, text]) => ({ kind, text }))

test('what docs/report.md shows is so', async () => {
  assert.deepEqual(
    blocks.map(({ kind }) => kind),
    ['sh', 'js', 'jsonc'],
  )
  const [{ text: commands }, { text: program }, { text: config }] = blocks
  for (const line of commands.trim().split('\n')) {
    const args = line
      .replace(/\s+#.*/, '')
      .split(' ')
      .slice(1)
    const { code, stderr } = await command(sandbox, args)
    assert.equal(code, 0, `${line}: ${stderr}`)
  }
  const source = program.replace("import { stats } from 'provider-auth'", 'const { stats } = auth')
  assert.match(await sandbox.output(source), /'rate_limited'/)
  assert.deepEqual(JSON.parse(config), { stats: false })
})

test('with stats: false it says that nothing is counted, and what was counted is gone', async () => {
  sandbox.writeConfig({ stats: false, providers })
  const { stdout, stderr, code } = await command(sandbox, ['report', '--json'])
  assert.equal(code, 0, stderr)
  const told = JSON.parse(stdout)
  assertFits('report', told)
  assert.equal(told.enabled, false)
  assert.match(stderr, /"stats": false/)
  const page = await command(sandbox, ['report', '--html', '-'])
  assert.match(page.stdout, /Nothing is counted: the configuration says/)
  assert.ok(!existsSync(stats))
})
