/**
 * A user without a browser: opens the page that a login shows, fills in whatever form comes, and follows each redirect
 * with a cookie jar, until the loopback callback or the device page has said its last word.
 */

const MOST_PAGES = 20

/**
 * Answers a login prompt as `user` and returns the last page.
 *
 * @param {string | { url: string, userCode?: string }} prompt the address, or what `onPrompt` was given
 * @param {object} options
 * @param {string} options.user
 * @param {boolean} [options.consent] with `false` the user clicks "cancel"
 * @param {string} [options.unreachable] an address that this browser does not reach: it ends there, as on another machine
 * @returns {Promise<{ url: string, status: number, text: string }>}
 */
export async function signIn(prompt, { user, consent = true, unreachable }) {
  const { url, userCode } = typeof prompt === 'string' ? { url: prompt } : prompt
  const answers = { login: user, password: 'any password', user_code: userCode }
  const cookies = createJar()
  let step = { url, method: 'GET' }
  let refused = false
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const response = await fetch(step.url, {
      method: step.method,
      redirect: 'manual',
      headers: {
        cookie: cookies.for(step.url),
        ...(step.body && { 'content-type': 'application/x-www-form-urlencoded' }),
      },
      body: step.body,
    })
    cookies.take(step.url, response.headers.getSetCookie())
    const location = response.headers.get('location')
    const text = await response.text()
    if (location !== null) {
      step = { url: new URL(location, step.url).href, method: 'GET' }
      if (unreachable !== undefined && step.url.startsWith(unreachable)) return { url: step.url, status: 0, text: '' }
      continue
    }
    const cancel = consent ? undefined : readLink(text, /\/abort$/)
    const form = refused ? undefined : readForm(text)
    if (cancel !== undefined) {
      step = { url: new URL(cancel, step.url).href, method: 'GET' }
      refused = true
    } else if (form !== undefined && response.ok) step = fillIn(form, step.url, answers)
    else return { url: step.url, status: response.status, text }
  }
  throw new Error(`the login of ${user} did not end within ${MOST_PAGES} pages; the last was ${step.url}`)
}

function readForm(html) {
  const form = /<form\b([^>]*)>([\s\S]*?)<\/form>/i.exec(html)
  if (form === null) return undefined
  const inputs = [...form[2].matchAll(/<input\b([^>]*)>/gi)].map(([, attributes]) => readAttributes(attributes))
  return { action: readAttributes(form[1]).action, inputs: inputs.filter(({ name }) => name !== undefined) }
}

function fillIn(form, base, answers) {
  const values = form.inputs.map(({ name, type, value = '' }) => [
    name,
    type === 'hidden' ? value : (answers[name] ?? value),
  ])
  return { url: new URL(form.action ?? '', base).href, method: 'POST', body: new URLSearchParams(values).toString() }
}

function readLink(html, wanted) {
  const links = [...html.matchAll(/<a\b([^>]*)>/gi)].map(([, attributes]) => readAttributes(attributes).href)
  return links.find((href) => href !== undefined && wanted.test(href))
}

function readAttributes(text) {
  const entities = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }
  const decoded = (value) => value.replace(/&(amp|lt|gt|quot|#39);/g, (_, name) => entities[name])
  return Object.fromEntries([...text.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name, value]) => [name, decoded(value)]))
}

/** Cookies by name and path; two interactions of one login use the same name under different paths. */
function createJar() {
  const jar = new Map()
  return {
    take(url, lines) {
      const { host } = new URL(url)
      for (const line of lines) {
        const [pair, ...attributes] = line.split(/;\s*/)
        const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]
        const path = attributes.find((attribute) => /^path=/i.test(attribute))?.slice(5) ?? '/'
        const key = `${host} ${path} ${name}`
        if (value === '') jar.delete(key)
        else jar.set(key, { host, path, name, value })
      }
    },
    for(url) {
      const { host, pathname } = new URL(url)
      const reaches = (path) => pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`)
      const live = [...jar.values()].filter((cookie) => cookie.host === host && reaches(cookie.path))
      return live.map(({ name, value }) => `${name}=${value}`).join('; ')
    },
  }
}
