/**
 * Says what to do where a bundler has swallowed the library. A bundle has no native addon, and the
 * loader of the addon would blame npm for that. Imported before the loader.
 */
import { existsSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where this file lies in the package. */
const OWN_PLACE = '/npm/dist/bundled.js'

/** Absent in a bundle of CommonJS. */
const here: string | undefined = import.meta.url

if (here === undefined || !(isInPackage(here) || hasAddon(here))) {
  throw new Error(
    'provider-auth has a native addon, which cannot be part of a bundle: mark provider-auth as external ' +
      '(esbuild and bun: --external provider-auth; Rollup, Vite and webpack: external or externals; Next.js: serverExternalPackages)',
  )
}

function isInPackage(file: string): boolean {
  return file.endsWith(OWN_PLACE) && existsSync(fileURLToPath(file))
}

/** Whether somebody has put the addon where the loader of a bundle finds it. */
function hasAddon(bundle: string): boolean {
  if (process.env.NAPI_RS_NATIVE_LIBRARY_PATH !== undefined) return true
  const require = createRequire(bundle)
  const isThere = (suffix: string): boolean => {
    try {
      return require.resolve(`provider-auth-${process.platform}-${process.arch}${suffix}`) !== ''
    } catch {
      return false
    }
  }
  try {
    const beside = readdirSync(dirname(fileURLToPath(bundle)))
    if (beside.some((name) => /^provider-auth\..*\.node$/.test(name))) return true
  } catch {}
  return ['', '-gnu', '-musl', '-msvc'].some(isThere)
}
