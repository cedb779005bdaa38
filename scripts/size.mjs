// `npm run size`: how large the addon is as it ships, by section and by crate. Builds it once more as in a release, but
// with its symbols, and strips a copy. `-- --store` does the same with the addon that has the store in it, and `-- <file>`
// reports on an addon that was built with symbols before.
// Needs binutils: strip, size, nm.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { addonName, buildRelease } from './lib/build.mjs'
import { PLAIN, STORE } from './lib/families.mjs'
import { root, step } from './lib/steps.mjs'

const most = { bytes: 5_000_000, gzip: 2_400_000 }
const shown = { crates: 25, bytes: 10_000 }

const { values, positionals } = parseArgs({ options: { store: { type: 'boolean' } }, allowPositionals: true })
const file = positionals[0] ?? (await build(values.store ? STORE : PLAIN))
const { bytes, gzip, sections } = measure(file)
console.log(`\n${'stripped'.padEnd(24)}${figure(bytes)}   ${judge(bytes, most.bytes)}`)
console.log(`${'gzip -9'.padEnd(24)}${figure(gzip)}   ${judge(gzip, most.gzip)}`)
console.log('\nsection')
for (const [name, size] of sections) console.log(`  ${name.padEnd(22)}${figure(size)}`)
console.log('\ncode and constants by crate')
const crates = byCrate(file)
const total = crates.reduce((sum, [, size]) => sum + size, 0)
for (const [name, size] of crates.slice(0, shown.crates)) {
  console.log(`  ${name.padEnd(22)}${figure(size)} ${((100 * size) / total).toFixed(1).padStart(6)} %`)
}

/** Builds the addon with its symbols, and returns its file. */
async function build(family) {
  const addon = join(root, 'target', 'size', addonName(undefined, family))
  const env = { ...process.env, CARGO_PROFILE_RELEASE_STRIP: 'none' }
  const built = await step('The addon, with symbols (the first build takes some minutes)', () =>
    buildRelease({ family, env, file: addon }),
  )
  if (built.ok) return addon
  process.exit(1)
}

/** Returns the size of the addon without its symbols, packed and plain, and of its larger sections. */
function measure(addon) {
  const folder = mkdtempSync(join(tmpdir(), 'provider-auth-size-'))
  try {
    const stripped = join(folder, 'addon.node')
    tool('strip', ['--strip-all', '-o', stripped, addon])
    const bytes = readFileSync(stripped)
    const rows = tool('size', ['--format=sysv', '--radix=10', stripped]).matchAll(/^(\.\S+)\s+(\d+)\s+[1-9]\d*$/gm)
    const sections = [...rows].map(([, name, size]) => [name, Number(size)])
    return {
      bytes: bytes.length,
      gzip: gzipSync(bytes, { level: 9 }).length,
      sections: sections.filter(([, size]) => size >= shown.bytes).sort((a, b) => b[1] - a[1]),
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Sums the symbols by the crate that wrote them; a generic counts for its crate, not for its users. */
function byCrate(addon) {
  const sizes = new Map()
  const symbols = tool('nm', ['--print-size', '--demangle', '--defined-only', addon])
  for (const [, size, name] of symbols.matchAll(/^[0-9a-f]+ ([0-9a-f]+) [a-z] (.*)$/gim)) {
    const crate = name.match(/^[<&*([ ]*(?:(?:mut|const|dyn) )*<*([A-Za-z_]\w*)(?:\[[0-9a-f]+\])?::/)?.[1]
    const owner = crate ?? (name.includes('::') ? 'of tuples, closures' : 'C and assembly')
    sizes.set(owner, (sizes.get(owner) ?? 0) + Number.parseInt(size, 16))
  }
  return [...sizes].sort((a, b) => b[1] - a[1])
}

function tool(name, args) {
  return execFileSync(name, args, { cwd: root, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 })
}

function figure(bytes) {
  return bytes.toLocaleString('en').padStart(12)
}

function judge(bytes, limit) {
  return `${bytes <= limit ? '✔ holds' : '✖ does not hold'}: at most ${limit.toLocaleString('en')}`
}
