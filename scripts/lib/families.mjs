// The two addons that there are: the plain one, and the one with the store for many machines in it. Each has a package, and one for
// each platform.

/** The package that everybody installs; it has the TypeScript, too. */
export const PLAIN = 'provider-auth'
/** The package whose addon the loader takes instead, where it is installed. */
export const STORE = 'provider-auth-postgres'

export const FAMILIES = [PLAIN, STORE]

/** Returns the features with which the addon of a family is built, as arguments of cargo. */
export function featuresOf(family) {
  return family === STORE ? ['--features', 'provider-auth-node/postgres'] : []
}
