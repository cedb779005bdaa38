// Tells whether something built is newer than everything it was built from.

import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './steps.mjs'

/** Says whether every output exists and none of the sources (files, or folders with all they hold) is newer. Paths are from the root. */
export function isFresh({ sources, outputs }) {
  const built = Math.min(...outputs.map(changedAt))
  return built > 0 && sources.every((source) => newest(join(root, source)) <= built)
}

function changedAt(path) {
  return statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0
}

function newest(path) {
  const entry = statSync(path)
  if (!entry.isDirectory()) return entry.mtimeMs
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))))
}
