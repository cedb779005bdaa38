// The story that `npm start` plays: a real OpenID provider and a chat endpoint on this machine, two people who sign in,
// and a day of requests with its mishaps. Nothing is simulated but the people and the endpoint's moods, and nothing of
// the user's is touched: vault, key and configuration live in a temporary folder.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { signIn } from '../__test__/support/agent.mjs'
import { startOidcProvider } from '../__test__/support/oidc.mjs'
import { createSandbox, LIBRARY_URL } from '../__test__/support/sandbox.mjs'
import { startUpstream, throttle } from '../__test__/support/upstream.mjs'
import { chapter, promise, tell, verdict } from './lib/story.mjs'

const THROTTLED_SECONDS = 30
const SHORT_TOKEN_SECONDS = 3
const CROWD = 50

const keep = process.argv.includes('--keep')
let onInterrupt = () => process.exit(130)
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => onInterrupt())

const oidc = await startOidcProvider()
const upstream = await startUpstream({ providers: [oidc] })
const sandbox = createSandbox({
  name: 'demo',
  config: { providers: { local: oidc.config({ origins: [upstream.origin] }) } },
})
sandbox.enter()
const { createAuthFetch, listAccounts, login, poolStatus, subscribe } = await import(LIBRARY_URL)

const names = new Map()
const ask = createAuthFetch({ provider: 'local', session: 'the-demo' })

let failure
try {
  await twoPeopleSignIn()
  subscribe(tellEvent)
  await requestsFlow()
  await oneAccountIsThrottled()
  await aTokenIsRevokedEarly()
  await aTokenExpiresUnderACrowd()
  await theProcessRestarts()
  await nothingIsInClear()
  await sumUp()
  if (keep) await stay()
} catch (error) {
  failure = error
} finally {
  await Promise.all([oidc.close(), upstream.close()])
  sandbox.cleanup()
}
if (failure !== undefined) {
  tell('failed', failure.stack ?? String(failure))
  process.exit(1)
}
process.exit(verdict().ok ? 0 : 1)

/* ───────────────────────────── the chapters ───────────────────────────── */

async function twoPeopleSignIn() {
  chapter('1. Two people sign in, each in a way that suits their machine')
  tell('provider', `OpenID provider on ${oidc.issuer}, rotating refresh tokens, reuse revokes the grant`)
  for (const [user, method] of [
    ['ada', 'browser'],
    ['bob', 'device'],
  ]) {
    const began = performance.now()
    const account = await login({ provider: 'local', method, label: user, onPrompt: (prompt) => visit(prompt, user) })
    names.set(account.id, user)
    const how = method === 'browser' ? 'authorization code with PKCE, over a loopback callback' : 'device code'
    tell('signed in', `${user}: ${how}, ${took(began)}`)
  }
  promise(
    'two accounts are in the vault and ready',
    (await listAccounts()).filter(({ state }) => state === 'ready').length === 2,
  )
}

async function requestsFlow() {
  chapter('2. Requests of one conversation stay with one account')
  const served = []
  for (let turn = 0; turn < 5; turn += 1) served.push(await chat())
  promise('five requests, one account', new Set(served).size === 1)
}

async function oneAccountIsThrottled() {
  const first = await whoServes()
  chapter(`3. ${first} is told to stay away for ${THROTTLED_SECONDS} s, in the middle of a request`)
  upstream.plan(first, throttle(THROTTLED_SECONDS))
  upstream.forget()
  const second = await chat()
  const seen = upstream.requests.map(({ account, status }) => `${account} ${status}`).join(', then ')
  tell('endpoint', `saw ${seen}`)
  promise(
    'the caller got its answer from the other account, in the same call',
    second !== first && seen === `${first} 429, then ${second} 200`,
  )
  upstream.forget()
  for (let turn = 0; turn < 3; turn += 1) await chat()
  promise(`the requests after it did not bother ${first}`, !upstream.accounts().includes(first))
}

async function aTokenIsRevokedEarly() {
  const who = await whoServes()
  chapter(`4. The server ends ${who}'s access token before its time`)
  oidc.setAccessTokenSeconds(SHORT_TOKEN_SECONDS)
  oidc.expireAccess(who)
  const before = oidc.counters.refreshRequests
  const served = await chat()
  promise('a 401 became one refresh and an answer', served === who && oidc.counters.refreshRequests === before + 1)
}

async function aTokenExpiresUnderACrowd() {
  chapter(`5. The access token runs out after ${SHORT_TOKEN_SECONDS} s, and ${CROWD} requests come at once`)
  await sleep(SHORT_TOKEN_SECONDS * 1000 + 200)
  oidc.setAccessTokenSeconds(3600)
  const before = oidc.counters.refreshRequests
  const began = performance.now()
  const statuses = await Promise.all(Array.from({ length: CROWD }, async () => (await post(ask)).status))
  tell('crowd', `${statuses.filter((status) => status === 200).length} of ${CROWD} answers are 200, ${took(began)}`)
  promise(
    'one refresh for all of them',
    oidc.counters.refreshRequests === before + 1 && statuses.every((status) => status === 200),
  )
}

async function theProcessRestarts() {
  chapter('6. Another process opens the same vault')
  const source = `
    const accounts = await auth.listAccounts()
    const fetch = auth.createAuthFetch({ provider: 'local', session: 'the-demo' })
    const response = await fetch(${JSON.stringify(upstream.chatUrl)}, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"model":"small-1"}' })
    const { choices } = await response.json()
    console.log(JSON.stringify({ accounts, answer: choices[0].message.content }))`
  const { code, stdout, stderr } = await sandbox.run(source)
  if (code !== 0) throw new Error(`the second process failed: ${stderr}`)
  const { accounts, answer } = JSON.parse(stdout)
  for (const { label, cooldowns } of accounts) {
    const rests = cooldowns.map(({ scope, until }) => `${scope} rests for ${inSeconds(until)} more`).join(', ')
    tell('remembered', `${label}: ${rests || 'ready'}`)
  }
  tell('answered', answer)
  promise(
    'it finds both accounts and the cooldown',
    accounts.length === 2 && accounts.some(({ cooldowns }) => cooldowns.length > 0),
  )
}

async function nothingIsInClear() {
  chapter('7. What lies on the disk')
  const files = readdirSync(sandbox.vaultDir, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  )
  const secrets = [...oidc.issuedTokens(), sandbox.env.PROVIDER_AUTH_KEY, 'ada@local.test', 'bob@local.test']
  const leaks = files.filter((file) => {
    const content = readFileSync(join(file.parentPath ?? file.path, file.name), 'latin1')
    return secrets.some((secret) => content.includes(secret))
  })
  tell('vault', `${files.length} files searched for ${secrets.length} tokens, keys and addresses`)
  promise('none of them is there in clear', leaks.length === 0 && files.length > 0)
}

async function sumUp() {
  chapter('Summary')
  const [pool] = await poolStatus({ provider: 'local' })
  for (const { label, state, successes, failures } of pool.accounts) {
    tell(label, `${state}, ${successes} answered, ${failures} failed`)
  }
  tell(
    'pool',
    `${pool.requests} requests, ${pool.attempts} attempts, ${pool.rotations} rotations, ${pool.refreshes} refreshes`,
  )
  const { refreshRequests, tokenGenerations, invalidGrants } = oidc.counters
  tell(
    'provider',
    `${refreshRequests} refresh requests, ${tokenGenerations} generations of tokens, ${invalidGrants} refused`,
  )
  promise('no refresh token was ever used twice', invalidGrants === 0 && refreshRequests === tokenGenerations)
  const { ok, kept, broken, seconds } = verdict()
  console.log(
    `\n${ok ? `All ${kept} promises held` : `${broken.length} of ${kept + broken.length} promises were broken`}, in ${seconds.toFixed(1)} s.`,
  )
}

/** Leaves provider and endpoint up, and says how code of the reader's own gets there, until Ctrl-C. */
async function stay() {
  const { PROVIDER_AUTH_DIR, PROVIDER_AUTH_KEY } = sandbox.env
  console.log(`
The provider (${oidc.issuer}) and the chat endpoint (${upstream.chatUrl}) go on. In another terminal:

  export PROVIDER_AUTH_CONFIG='${sandbox.configFile}'
  export PROVIDER_AUTH_DIR='${PROVIDER_AUTH_DIR}' PROVIDER_AUTH_KEY_SOURCE=env PROVIDER_AUTH_KEY='${PROVIDER_AUTH_KEY}'
  node --input-type=module -e "
    import { createAuthFetch } from '${LIBRARY_URL}'
    const fetch = createAuthFetch({ provider: 'local' })
    const response = await fetch('${upstream.chatUrl}', { method: 'POST', body: JSON.stringify({ model: 'small-1' }) })
    console.log(response.status, await response.text())"

Ctrl-C ends both and removes the folder.`)
  await new Promise((resolve) => {
    onInterrupt = resolve
  })
  console.log('\nEnded.')
}

/* ───────────────────────────── helpers ───────────────────────────── */

/** Plays the person at the browser: opens the page, signs in, consents. */
function visit(prompt, user) {
  tell(
    'prompt',
    prompt.userCode === undefined ? `${user} opens the provider's page` : `${user} enters the code ${prompt.userCode}`,
  )
  signIn(prompt, { user }).catch((error) => tell('failed', `${user} could not sign in: ${error.message}`))
}

function post(fetch) {
  const body = JSON.stringify({ model: 'small-1', messages: [{ role: 'user', content: 'hello' }] })
  return fetch(upstream.chatUrl, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
}

/** Sends one request and tells who answered. Returns the account's name. */
async function chat() {
  const began = performance.now()
  const response = await post(ask)
  const { choices } = await response.json()
  const who = /^served by (.+)$/.exec(choices?.[0].message.content ?? '')?.[1] ?? 'nobody'
  tell('answer', `${response.status} by ${who}, ${took(began)}`)
  return who
}

async function whoServes() {
  return upstream.requests.findLast(({ status }) => status === 200)?.account
}

/** Tells what the broker decided. That it served is told by the answer itself. */
function tellEvent({ type, accountId, model, reason, until }) {
  if (type === 'served' || type === 'chosen') return
  const parts = [
    names.get(accountId) ?? 'the pool',
    model && `for ${model}`,
    reason,
    until && `for ${inSeconds(until)}`,
  ]
  tell(type.replaceAll('_', ' '), parts.filter(Boolean).join(', '))
}

function took(began) {
  return `${Math.round(performance.now() - began)} ms`
}

function inSeconds(until) {
  return `${Math.ceil((until - Date.now()) / 1000)} s`
}
