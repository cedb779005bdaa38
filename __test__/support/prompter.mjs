/**
 * A prompter that shows a prompt and never gets an answer: it speaks just enough D-Bus to take the place of GNOME's, so
 * that a keyring without a display waits as it does for a person who is away.
 */
import { createConnection } from 'node:net'

const BUS = { destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus' }
const CALL = 1
const REPLY = 2
/** Codes of header fields, and the type of each. */
const FIELDS = { path: [1, 'o'], interface: [2, 's'], member: [3, 's'], answers: [5, 'u'], destination: [6, 's'] }
const SIGNATURE = 8

/**
 * Takes the prompter's name on a bus.
 *
 * @param {string} address the socket of the bus
 * @returns {Promise<{ shown(): number, close(): void }>} `shown` counts the prompts that wait for an answer
 */
export async function startPrompter(address) {
  const socket = createConnection(address)
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  const uid = Buffer.from(String(process.getuid())).toString('hex')
  socket.write(`\0AUTH EXTERNAL ${uid}\r\n`)
  await new Promise((resolve) => socket.once('data', resolve))
  socket.write('BEGIN\r\n')

  let serial = 0
  let shown = 0
  const send = (type, fields, signature = '', ...values) => {
    serial += 1
    socket.write(message(type, serial, fields, signature, values))
  }
  const onMessage = ({ type, serial: answers, sender, member, object }) => {
    if (type !== CALL) return
    send(REPLY, { answers, destination: sender })
    if (member === 'PerformPrompt') shown += 1
    // "Ready to show": from now on the keyring waits for the person.
    if (member === 'BeginPrompting')
      send(
        CALL,
        {
          path: object,
          interface: 'org.gnome.keyring.internal.Prompter.Callback',
          member: 'PromptReady',
          destination: sender,
        },
        'sa{sv}s',
        '',
        [],
        '',
      )
  }
  let rest = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk])
    for (let length = lengthOf(rest); length <= rest.length; length = lengthOf(rest)) {
      onMessage(parse(rest.subarray(0, length)))
      rest = rest.subarray(length)
    }
  })
  send(CALL, { ...BUS, member: 'Hello' })
  send(CALL, { ...BUS, member: 'RequestName' }, 'su', 'org.gnome.keyring.SystemPrompter', 0)
  return { shown: () => shown, close: () => socket.destroy() }
}

/** Writes a message; of values only `s`, `u` and the empty `a{sv}` are known. */
function message(type, serial, fields, signature, values) {
  const body = writer()
  values.forEach((value) => {
    if (Array.isArray(value)) {
      body.number(0)
      body.align(8)
    } else if (typeof value === 'number') body.number(value)
    else body.text(value)
  })
  const head = writer([0x6c, type, 0, 1])
  head.number(body.bytes.length)
  head.number(serial)
  head.number(0)
  for (const [name, value] of Object.entries(fields)) {
    const [code, kind] = FIELDS[name]
    head.field(code, kind)
    if (kind === 'u') head.number(value)
    else head.text(value)
  }
  if (signature !== '') {
    head.field(SIGNATURE, 'g')
    head.bytes.push(signature.length, ...Buffer.from(signature), 0)
  }
  const bytes = Buffer.from(head.bytes)
  bytes.writeUInt32LE(bytes.length - 16, 12)
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 7), Buffer.from(body.bytes)])
}

function writer(bytes = []) {
  const align = (size) => bytes.push(...Buffer.alloc(-bytes.length & (size - 1)))
  const number = (value) => {
    align(4)
    bytes.push(value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24)
  }
  return {
    bytes,
    align,
    number,
    text(value) {
      number(Buffer.byteLength(value))
      bytes.push(...Buffer.from(value), 0)
    },
    field(code, kind) {
      align(8)
      bytes.push(code, 1, kind.charCodeAt(0), 0)
    },
  }
}

/** How long the message is that begins here; infinite while its head is not complete. */
function lengthOf(bytes) {
  if (bytes.length < 16) return Infinity
  const head = 16 + bytes.readUInt32LE(12)
  return head + (-head & 7) + bytes.readUInt32LE(4)
}

/** Reads who sends what; `object` is the first string of the body. */
function parse(bytes) {
  const end = 16 + bytes.readUInt32LE(12)
  const text = (at) => bytes.toString('utf8', at + 4, at + 4 + bytes.readUInt32LE(at))
  const found = { type: bytes[1], serial: bytes.readUInt32LE(8) }
  for (let at = 16; at < end; at += -at & 7) {
    const [code, kind] = [bytes[at], String.fromCharCode(bytes[at + 2])]
    at += 4
    if (kind === 'g') at += bytes[at] + 2
    else if (kind === 'u') at += 4
    else {
      if (code === FIELDS.member[0]) found.member = text(at)
      if (code === 7) found.sender = text(at)
      at += 4 + bytes.readUInt32LE(at) + 1
    }
  }
  const body = end + (-end & 7)
  if (bytes.length > body) found.object = text(body)
  return found
}
