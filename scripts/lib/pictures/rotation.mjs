// A rotation as it happens: the events of a real run, request by request.

import { createSandbox } from '../../../__test__/support/sandbox.mjs'
import { startUpstream, throttle } from '../../../__test__/support/upstream.mjs'
import { box, picture, text } from './svg.mjs'

const ACCOUNTS = ['first', 'spare']
const REQUESTS = 5
/** The request that meets the limit, from 1 on. */
const LIMITED = 3
const WAIT_SECONDS = 20

/** Sends the requests, and returns for each the status that the program saw and the events: `{ type, account, reason }`. */
export async function runRotation() {
  const upstream = await startUpstream()
  const sandbox = createSandbox({ name: 'pictures', config: { providers: { desk: { origins: [upstream.origin] } } } })
  try {
    for (const account of ACCOUNTS) upstream.admit(`the-key-of-${account}`, account)
    const told = sandbox.start(
      `
      const labels = {}
      for (const [priority, label] of ${JSON.stringify(ACCOUNTS)}.entries())
        labels[(await auth.addApiKey({ provider: 'desk', apiKey: 'the-key-of-' + label, label, priority })).id] = label
      let events = []
      auth.subscribe(({ type, accountId, reason }) => events.push({ type, account: labels[accountId], ...(reason && { reason }) }))
      const fetch = auth.createAuthFetch({ provider: 'desk' })
      for await (const _ of process.stdin) {
        events = []
        const { status } = await fetch('${upstream.chatUrl}', { method: 'POST', body: '{"model":"small-1"}' })
        while (events.at(-1)?.type !== 'served') await new Promise((resolve) => setTimeout(resolve, 10))
        console.log(JSON.stringify({ status, events }))
      }`,
      { input: null },
    )
    const requests = []
    for (let index = 1; index <= REQUESTS; index += 1) {
      if (index === LIMITED) upstream.plan('first', throttle(WAIT_SECONDS, 1))
      const next = new Promise((resolve) => told.child.stdout.once('data', resolve))
      told.child.stdin.write('go\n')
      requests.push(JSON.parse(String(await next)))
    }
    told.child.stdin.end()
    await told.ended
    return requests
  } finally {
    sandbox.cleanup()
    await upstream.close()
  }
}

const LEFT = 152
const COLUMN = 148
const LANES = { program: 76, first: 142, spare: 208 }
const BOX = 38

/** Draws what `runRotation` returned. */
export function drawRotation(requests) {
  const width = LEFT + requests.length * COLUMN + 24
  const lines = [text(24, 30, 'A rotation as it happens', { kind: 'title' })]
  const lane = (y, name, note) => [
    `<path class="lane" d="M24 ${y + BOX + 14}H${width - 24}"/>`,
    text(24, y + 16, name, { kind: 'strong' }),
    text(24, y + 33, note, { kind: 'small quiet' }),
  ]
  lines.push(...lane(LANES.program, 'Your program', 'sees'))
  for (const [priority, account] of ACCOUNTS.entries())
    lines.push(...lane(LANES[account], account, `account, priority ${priority}`))

  let restsFrom
  for (const [index, { status, events }] of requests.entries()) {
    const x = LEFT + index * COLUMN
    const place = (slot, slots) => ({ x: x + (slot * (COLUMN - 12)) / slots, width: (COLUMN - 12) / slots - 6 })
    lines.push(
      text(x, 62, `request ${index + 1}`, { kind: 'small quiet' }),
      box('ok', x, LANES.program, COLUMN - 18, BOX),
      text(x + (COLUMN - 18) / 2, LANES.program + 24, String(status), { kind: 'strong', at: 'middle' }),
    )
    const tries = events.filter(({ type }) => type === 'served' || type === 'failed')
    for (const [slot, { type, account, reason }] of tries.entries()) {
      const at = place(slot, tries.length)
      lines.push(
        box(type === 'served' ? 'ok' : 'limit', at.x, LANES[account], at.width, BOX),
        text(at.x + at.width / 2, LANES[account] + 24, type === 'served' ? 'served' : reason, {
          kind: 'small',
          at: 'middle',
        }),
      )
      if (type === 'failed') restsFrom = { account, x: at.x + at.width + 6 }
    }
    for (const [row, { type, account }] of events.entries()) {
      const kind = { failed: 'bad', cooldown: 'bad', served: 'good' }[type] ?? ''
      lines.push(text(x, LANES.spare + BOX + 42 + row * 18, `${type} ${account}`, { kind: `code ${kind}`.trim() }))
    }
  }
  if (restsFrom !== undefined) {
    const length = width - 36 - restsFrom.x
    lines.push(
      box('rest', restsFrom.x, LANES[restsFrom.account], length, BOX),
      text(
        restsFrom.x + length / 2,
        LANES[restsFrom.account] + 24,
        `${restsFrom.account} rests for the ${WAIT_SECONDS} s that the provider asked for`,
        {
          kind: 'small',
          at: 'middle',
        },
      ),
    )
  }
  const rows = Math.max(...requests.map(({ events }) => events.length))
  lines.push(
    text(24, LANES.spare + BOX + 42, 'Events', { kind: 'strong' }),
    text(24, LANES.spare + BOX + 60, 'of subscribe', { kind: 'small quiet' }),
  )
  const title = `${requests.length} requests of a program with two accounts: request ${LIMITED} meets the limit of the first account, and the second one answers it within the same call`
  return picture({ width, height: LANES.spare + BOX + 42 + rows * 18 + 8, title, lines })
}
