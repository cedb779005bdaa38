/** People who sign in and consent in a real browser, at a real OpenID provider, and end on our own page. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { findChromium, startChromium } from './support/chromium.mjs'
import { openStage } from './support/stage.mjs'
import { until } from './support/until.mjs'

const program = findChromium()
const skip = program === undefined && 'no Chromium found: apt-get install chromium'
const { oidc, upstream, library } = await openStage({
  name: 'consent',
  providers: ({ oidc, upstream: { origin } }) => ({
    public: oidc.config({ client: 'public', origins: [origin] }),
    confidential: oidc.config({ client: 'basic', origins: [origin] }),
  }),
})
let browser
before(async () => {
  if (program !== undefined) browser = await startChromium(program)
})
after(() => browser?.close())

for (const provider of ['public', 'confidential']) {
  test(`a ${provider} client: sign-in and consent in Chromium end on the callback page`, { skip }, async () => {
    const user = `${provider}-ada`
    let shown
    const onPrompt = ({ url }) => {
      shown = browser.open(url)
    }
    const login = library.login({ provider, method: 'browser', onPrompt })
    const page = await until('a page is shown', () => shown)
    const isCallback = ({ url }) => url.startsWith('http://127.0.0.1:') && !url.startsWith(oidc.issuer)
    const { url, text, forms } = await page.pass({ login: user, password: 'any password' }, isCallback)
    const account = await login
    assert.equal(account.identity.subject, user)
    assert.match(new URL(url).pathname, /^\/callback$/)
    assert.match(text, /Connected[\s\S]+is ready to use/)
    assert.equal(forms.length, 2, forms.join('\n---\n'))
    assert.match(forms[0], /Sign-in/i)
    assert.match(forms[1], /Authorize/i)
    await serves(provider, user, account.id)
    await page.close()
  })

  test(`a ${provider} client: the device's code is entered and confirmed in Chromium`, { skip }, async () => {
    const user = `${provider}-bob`
    const session = await library.startLogin({ provider, method: 'device' })
    const finished = session.finish()
    // Without the code in it, as somebody types the address from another screen.
    const address = new URL(session.url)
    address.search = ''
    const page = await browser.open(address.href)
    const answers = { login: user, password: 'any password', user_code: session.userCode }
    const { forms } = await page.pass(answers, ({ text, hasForm }) => !hasForm && /success/i.test(text))
    const account = await finished
    assert.equal(account.identity.subject, user)
    assert.ok(
      forms.some((text) => text.includes(session.userCode)),
      forms.join('\n---\n'),
    )
    await serves(provider, user, account.id)
    await page.close()
  })
}

async function serves(provider, user, id) {
  const { headers } = await library.getAuthHeaders({ provider, account: id, url: upstream.chatUrl })
  assert.equal(oidc.owner(headers.authorization.replace('Bearer ', '')), user)
}
