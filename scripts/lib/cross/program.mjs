// Runs in the Node of another platform: uses the installed package as a program would, and prints a line for each thing that
// worked. Its argument is JSON: the folder of the installation, the server of the logins, and the API.

import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const { installed, upstream, apiKey, agent } = JSON.parse(process.env.CROSS_PROGRAM)
const { signIn } = await import(pathToFileURL(agent).href)
const require = createRequire(pathToFileURL(`${installed}/program.cjs`))
const entry = pathToFileURL(require.resolve('provider-auth')).href
const library = await import(entry)
const url = `${upstream}/v1/chat/completions`
const call = {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: '{"model":"small-1","messages":[]}',
}
const say = (line) => console.log(`✔ ${line}`)
const expect = (holds, what) => {
  if (!holds) throw new Error(what)
}

say('the package is loaded')

if (process.env.PROVIDER_AUTH_KEY_SOURCE === 'keychain') {
  const failure = await library.initVaultKey({ keySource: 'keychain' }).then(
    () => undefined,
    (error) => error,
  )
  expect(/^KEYCHAIN_/.test(failure?.code), `without a keychain: ${failure?.code ?? 'no error'} ${failure?.message}`)
  say(`without a keychain: ${failure.code}`)
} else {
  await useKey()
  await useLogin()
}

async function useKey() {
  const { id } = await library.addApiKey({ provider: 'keys', apiKey })
  const { attempt, headers, accountId } = await library.getAuthHeaders({ provider: 'keys', url })
  expect(headers.authorization === `Bearer ${apiKey}` && accountId === id, 'the headers hold another key')
  const verdict = await library.reportResponse({ attempt, status: 200 })
  expect(verdict.action === 'done' || verdict.reason === 'ok', `a good answer is judged ${JSON.stringify(verdict)}`)
  say('a key is added, its headers are lent, a good answer is settled')
  const response = await library.createAuthFetch({ provider: 'keys' })(url, call)
  expect(response.status === 200, `the API answers ${response.status}`)
  await response.text()
  say('fetch is served with the key')
}

async function useLogin() {
  let page
  const onPrompt = (prompt) => {
    page = signIn(prompt, { user: 'ada' })
  }
  const account = await library.login({ provider: 'local', method: 'browser', onPrompt })
  await page
  const before = await library.getAuthHeaders({ provider: 'local', url })
  say('a login comes back over the loopback callback')
  await library.refreshAccount(account.id, { force: true })
  const after = await library.getAuthHeaders({ provider: 'local', url })
  expect(after.headers.authorization !== before.headers.authorization, 'the refresh brought the same token')
  const response = await library.createAuthFetch({ provider: 'local' })(url, call)
  expect(response.status === 200, `the API answers ${response.status}`)
  await response.text()
  say('a refresh brings another token, and fetch is served with it')
}
