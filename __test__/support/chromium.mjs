/**
 * A real browser without a window: Chromium, spoken to in the DevTools protocol over a pipe. It reaches this machine and
 * nothing else.
 */
import { spawn } from 'node:child_process'
import { accessSync, constants, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { removeFolder } from './remove-folder.mjs'
import { until } from './until.mjs'

/** How long one page may take to become the next. */
const PATIENCE_MS = 30_000

/** The browser's program, if this machine has one. */
export function findChromium() {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const places = ['chromium', 'chromium-browser', 'google-chrome'].flatMap((name) =>
    folders.map((folder) => join(folder, name)),
  )
  return places.find((place) => {
    try {
      accessSync(place, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/**
 * Starts a browser.
 *
 * @param {string} program from `findChromium`
 */
export async function startChromium(program) {
  const profile = mkdtempSync(join(tmpdir(), 'provider-auth-chromium-'))
  const args = [
    '--headless=new',
    '--remote-debugging-pipe',
    `--user-data-dir=${profile}`,
    '--no-first-run',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--disable-background-networking',
    '--disable-component-update',
    '--password-store=basic',
    '--no-proxy-server',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
    // Its sandbox refuses to run as root.
    ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
  ]
  // A group of its own, so that none of its many processes outlives it.
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    env: { ...process.env, HOME: profile },
    detached: true,
  })
  const ended = new Promise((resolve) => child.once('close', resolve))
  const kill = () => {
    try {
      process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It is gone already.
    }
  }
  process.once('exit', kill)
  const send = speak(child.stdio[3], child.stdio[4], ended)
  return {
    /** Opens a page; see `visit`. */
    open: (url) => visit(send, url),
    async close() {
      process.off('exit', kill)
      await Promise.race([send('Browser.close').catch(() => {}), sleep(2_000)])
      await Promise.race([ended, sleep(3_000)])
      kill()
      removeFolder(profile)
    },
  }
}

/** Sends commands and matches their answers: JSON texts, each ended by a zero byte. */
function speak(to, from, ended) {
  const waiting = new Map()
  let last = 0
  let rest = ''
  from.setEncoding('utf8').on('data', (chunk) => {
    const messages = (rest + chunk).split('\0')
    rest = messages.pop()
    for (const { id, result, error } of messages.map((text) => JSON.parse(text))) {
      const { resolve, reject } = waiting.get(id) ?? {}
      waiting.delete(id)
      if (error === undefined) resolve?.(result)
      else reject?.(new Error(error.message))
    }
  })
  to.on('error', () => {})
  ended.then((code) => {
    for (const { reject } of waiting.values()) reject(new Error(`Chromium ended (${code})`))
  })
  return (method, params = {}, sessionId = undefined) => {
    last += 1
    const id = last
    to.write(`${JSON.stringify({ id, method, params, sessionId })}\0`)
    return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }))
  }
}

/**
 * Opens a page as a person does whom no server has seen yet, who fills in each form and goes on.
 *
 * `pass(answers, isLast)` resolves to `{ url, text, forms }` of the page on which `isLast({ url, text })` holds; `forms` are
 * the texts of the pages with a form on the way there.
 */
async function visit(send, url) {
  const { browserContextId } = await send('Target.createBrowserContext')
  const { targetId } = await send('Target.createTarget', { url, browserContextId })
  const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true })
  /** Runs a function in the page; `undefined` while one page becomes the next. */
  const run = async (work, ...args) => {
    const expression = `(${work})(...${JSON.stringify(args)})`
    const options = { expression, returnByValue: true, userGesture: true }
    const answer = await send('Runtime.evaluate', options, sessionId).catch(() => undefined)
    return answer?.exceptionDetails === undefined ? answer?.result.value : undefined
  }
  return {
    async pass(answers, isLast) {
      const forms = []
      const end = Date.now() + PATIENCE_MS
      let seen
      while (Date.now() < end) {
        const page = await run(look)
        if (page !== undefined) {
          seen = page
          if (isLast(page)) return { ...page, forms }
          if (page.hasForm && (await run(fillIn, answers))) forms.push(page.text)
        }
        await sleep(50)
      }
      throw new Error(`the pages did not end: ${seen?.url} ${seen?.text}`)
    },
    /** Gives the page a window of this size. */
    size: (width, height) =>
      send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false }, sessionId),
    /** Runs a function in the page once it is whole, and resolves to what it returns. */
    async ask(work, ...args) {
      await until('the page is whole', () =>
        run(() => location.href !== 'about:blank' && document.readyState === 'complete'),
      )
      return run(work, ...args)
    },
    /** A picture of the page, as PNG. */
    async picture() {
      const { data } = await send('Page.captureScreenshot', { captureBeyondViewport: true }, sessionId)
      return Buffer.from(data, 'base64')
    },
    close: () => send('Target.disposeBrowserContext', { browserContextId }),
  }
}

/* The following run in the page. */

function look() {
  if (document.readyState !== 'complete') return undefined
  const hasForm = document.querySelector('[type=submit]') !== null
  return { url: location.href, text: document.body.textContent, hasForm }
}

/** Fills in the page's form and sends it, once per page. */
function fillIn(answers) {
  if (window.isFilledIn) return false
  window.isFilledIn = true
  for (const input of document.querySelectorAll('input:not([type=hidden])'))
    if (input.name in answers) input.value = answers[input.name]
  document.querySelector('[type=submit]').click()
  return true
}
